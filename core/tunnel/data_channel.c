#include "core/tunnel/data_channel.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/tunnel/ssh_channel.h"

struct data_channel {
    struct ssh_channel *channel;
    struct egress_session *requests;
    const struct data_channel_events *events;
    void *ctx;
    bool open;
};

static void data_close(struct data_channel *d, const char *words)
{
    const struct data_channel_events *events = d->events;
    d->events = NULL;
    d->open = false;
    if (events)
        events->on_close(d->ctx, words);
}

static void data_on_requests_output(void *ctx)
{
    struct data_channel *d = ctx;
    if (d->channel)
        ssh_channel_want_output(d->channel);
}

static const struct egress_session_events data_requests_events = {data_on_requests_output};

static void data_on_open(void *ctx)
{
    struct data_channel *d = ctx;
    d->open = true;
    ssh_channel_want_output(d->channel); /* our SETTINGS */
    d->events->on_open(d->ctx);
}

static void data_on_data(void *ctx, const uint8_t *data, size_t n)
{
    struct data_channel *d = ctx;
    if (d->open && egress_session_receive(d->requests, data, n) != ERR_OK)
        data_close(d, "the edge broke HTTP/2's rules");
}

static void data_on_output(void *ctx, struct buf *out)
{
    struct data_channel *d = ctx;
    if (egress_session_send(d->requests, out, SSH_CHANNEL_FILL) != ERR_OK)
        data_close(d, "out of memory");
    else if (buf_len(out) >= SSH_CHANNEL_FILL)
        ssh_channel_want_output(d->channel); /* there may be more */
}

static void data_on_close(void *ctx, const char *words)
{
    data_close(ctx, words);
}

static const struct ssh_channel_events data_channel_ssh_events = {data_on_open, data_on_data, data_on_output,
                                                                  data_on_close};

struct data_channel *data_channel_open(struct ssh_session *session, struct egress *egress, unsigned index,
                                       const struct data_channel_events *events, void *ctx)
{
    struct data_channel *d = calloc(1, sizeof *d);
    char command[32];
    if (!d)
        return NULL;
    d->events = events;
    d->ctx = ctx;
    snprintf(command, sizeof command, "data %u", index);
    d->requests = egress_session_new(egress, &data_requests_events, d);
    d->channel = d->requests ? ssh_channel_open(session, command, &data_channel_ssh_events, d) : NULL;
    if (d->channel)
        return d;
    egress_session_free(d->requests);
    free(d);
    return NULL;
}

void data_channel_free(struct data_channel *d)
{
    if (!d)
        return;
    d->events = NULL;
    ssh_channel_free(d->channel);
    d->channel = NULL;
    egress_session_free(d->requests);
    free(d);
}

void data_channel_drain(struct data_channel *d)
{
    egress_session_drain(d->requests);
    ssh_channel_want_output(d->channel);
}

bool data_channel_is_open(const struct data_channel *d)
{
    return d->open;
}
