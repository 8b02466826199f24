#include "core/tunnel/data_channels.h"

#include <string.h>

#include "common/clock.h"
#include "common/log.h"

static const double reopen_first = 0.1, reopen_longest = 10, reopen_steady = 5;

static void slot_open(struct data_slot *slot);

static void slot_on_reopen(struct ev_loop *loop, ev_timer *timer, int revents)
{
    (void)loop, (void)revents;
    slot_open(timer->data);
}

static void slot_wait(struct data_slot *slot)
{
    ev_timer_stop(slot->all->loop, &slot->reopen);
    ev_timer_set(&slot->reopen, slot->wait, 0);
    ev_timer_start(slot->all->loop, &slot->reopen);
    slot->wait = slot->wait * 2 < reopen_longest ? slot->wait * 2 : reopen_longest;
}

static void slot_on_open(void *ctx)
{
    struct data_slot *slot = ctx;
    slot->open_since = clock_monotonic();
    slot->all->events->on_open(slot->all->ctx);
}

static void slot_on_close(void *ctx, const char *words)
{
    struct data_slot *slot = ctx;
    struct data_channels *all = slot->all;
    char quoted[512];
    data_channel_free(slot->channel);
    slot->channel = NULL;
    /* An edge that closes what it has just opened must not keep us, and our log, busy. */
    if (slot->open_since > 0 && clock_monotonic() - slot->open_since >= reopen_steady)
        slot->wait = reopen_first;
    slot->open_since = 0;
    log_event(LOG_INFO, "Data Channel Closed", "edge=%s channel=%u reason=%s", all->edge, slot->index,
              log_quote(words, strlen(words), quoted, sizeof quoted));
    if (!all->draining)
        slot_wait(slot);
    all->events->on_close(all->ctx, data_channels_count(all), words);
}

static const struct data_channel_events slot_events = {slot_on_open, slot_on_close};

static void slot_open(struct data_slot *slot)
{
    struct data_channels *all = slot->all;
    slot->channel = data_channel_open(all->session, all->egress, slot->index, &slot_events, slot);
    if (!slot->channel)
        slot_wait(slot);
}

void data_channels_open(struct data_channels *c, size_t n)
{
    c->n = n;
    for (unsigned i = 0; i < n; i++) {
        struct data_slot *slot = &c->slots[i];
        *slot = (struct data_slot){.all = c, .index = i, .wait = reopen_first};
        ev_init(&slot->reopen, slot_on_reopen);
        slot->reopen.data = slot;
        slot_open(slot);
    }
}

size_t data_channels_count(const struct data_channels *c)
{
    size_t open = 0;
    for (size_t i = 0; i < c->n; i++)
        open += c->slots[i].channel && data_channel_is_open(c->slots[i].channel);
    return open;
}

void data_channels_drain(struct data_channels *c)
{
    c->draining = true;
    for (size_t i = 0; i < c->n; i++)
        if (c->slots[i].channel)
            data_channel_drain(c->slots[i].channel);
}

void data_channels_close(struct data_channels *c)
{
    for (size_t i = 0; i < c->n; i++) {
        ev_timer_stop(c->loop, &c->slots[i].reopen);
        data_channel_free(c->slots[i].channel);
        c->slots[i].channel = NULL;
    }
    c->n = 0;
}
