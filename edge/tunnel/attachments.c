#include "edge/tunnel/attachments.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/local_server.h"
#include "common/log.h"
#include "common/text.h"

enum { ATTACHMENT_WORDS = 320 /* why a tunnel ended */ };

/* One `attach` process, from its first message on. */
struct attachment {
    struct attachments *owner;
    struct local_connection *connection;
    struct control *control; /* of a control channel; NULL for a data channel */
    long id;                 /* from 1 */
    char core[64];
    char key[128];    /* that it has logged in with */
    char ssh[128];    /* which SSH connection it belongs to */
    unsigned channel; /* data: web worker */
    long uplink;      /* data: id; -1: none */
    LIST_ENTRY(attachment) next;
};

struct attachments {
    struct ev_loop *loop;
    const struct box *box;
    const struct attachments_events *events;
    void *ctx;
    struct local_server *server;
    ev_timer drop; /* tunnels that may not be here any more */
    long last_uplink, last_id;
    LIST_HEAD(, attachment) list;
};

static void attachment_free(struct attachment *a)
{
    LIST_REMOVE(a, next);
    free(a);
}

/* Ends the attach process, and so its SSH channel. */
static void attachment_close(struct attachment *a, const char *reason)
{
    if (reason)
        local_connection_send(a->connection, json_pack("{ssss}", "type", "refused", "reason", reason));
    local_connection_close(a->connection);
    attachment_free(a);
}

static struct attachment *attachments_find_control(struct attachments *all, const char *core, const char *ssh)
{
    struct attachment *a;
    LIST_FOREACH (a, &all->list, next) {
        if (a->control && control_is_up(a->control) && strcmp(a->core, core) == 0 && strcmp(a->ssh, ssh) == 0)
            return a;
    }
    return NULL;
}

/* Data channels whose control channel has ended go with it. */
static void attachments_end_connection(struct attachments *all, const char *core, const char *ssh)
{
    struct attachment *a, *after;
    for (a = LIST_FIRST(&all->list); a; a = after) {
        after = LIST_NEXT(a, next);
        if (a->uplink < 0 || strcmp(a->core, core) != 0 || strcmp(a->ssh, ssh) != 0)
            continue;
        all->events->uplink_close(all->ctx, a->channel, a->uplink);
        attachment_close(a, NULL);
    }
}

/* Why its core may not be here; NULL: it may. */
static const char *attachments_refuse(const struct attachments *all, const struct attachment *a)
{
    if (!config_core_find(&all->box->config, a->core))
        return "this core is not in the config of this edge";
    return all->events->key_counts(all->ctx, a->core, a->key)
               ? NULL
               : "the key that this core has logged in with does not count any more";
}

/* Control channels -------------------------------------------------------------------------------------- */

static void attachments_control_over(struct attachment *a, const char *reason)
{
    struct attachments *all = a->owner;
    struct control *control = a->control;
    char quoted[2 * ATTACHMENT_WORDS];
    a->control = NULL;
    log_event(LOG_WARNING, "Tunnel Down", "core=%s tunnel=%u reason=%s", a->core, control_tunnel(control),
              log_quote(reason, strlen(reason), quoted, sizeof quoted));
    attachments_end_connection(all, a->core, a->ssh);
    all->events->config_end(all->ctx, a->id, 0, false);
    all->events->tunnel_changed(all->ctx, a->core, control_tunnel(control), reason);
    control_free(control);
}

static struct attachment *attachments_find_earlier(struct attachments *all, const struct attachment *newer)
{
    struct attachment *a;
    LIST_FOREACH (a, &all->list, next) {
        if (a != newer && a->control && control_is_up(a->control) && strcmp(a->core, newer->core) == 0 &&
            control_tunnel(a->control) == control_tunnel(newer->control))
            return a;
    }
    return NULL;
}

/* A core may be back before its earlier connection was found dead: web workers shall not send into that one
 * any more. */
static void attachments_on_up(void *ctx, struct control *c)
{
    static const char reason[] = "the same core has opened this tunnel anew (does it run twice?)";
    struct attachment *a = ctx, *earlier;
    while ((earlier = attachments_find_earlier(a->owner, a)) != NULL) {
        attachments_control_over(earlier, reason);
        attachment_close(earlier, reason);
    }
    log_event(LOG_NOTICE, "Tunnel Up", "core=%s tunnel=%u", a->core, control_tunnel(c));
    a->owner->events->tunnel_changed(a->owner->ctx, a->core, control_tunnel(c), NULL);
}

static const char *attachments_on_policy(void *ctx, struct control *c, long revision, const json_t *msg)
{
    (void)c;
    struct attachment *a = ctx;
    return a->owner->events->policy(a->owner->ctx, a->core, revision, msg);
}

static void attachments_on_config(void *ctx, struct control *c, long revision, const char *text)
{
    (void)c;
    struct attachment *a = ctx;
    a->owner->events->config(a->owner->ctx, a->id, a->core, revision, text);
}

static void attachments_on_config_end(void *ctx, struct control *c, long revision, bool commit)
{
    (void)c;
    struct attachment *a = ctx;
    a->owner->events->config_end(a->owner->ctx, a->id, revision, commit);
}

static struct attachment *attachments_find(const struct attachments *all, long id)
{
    struct attachment *a;
    LIST_FOREACH (a, &all->list, next)
        if (a->id == id && a->control)
            return a;
    return NULL;
}

bool attachments_has(const struct attachments *all, long id)
{
    return attachments_find(all, id) != NULL;
}

void attachments_config_answer(struct attachments *all, long id, bool committed, long revision,
                               const char *error, const char *waiting)
{
    const struct attachment *a = attachments_find(all, id);
    if (a && committed)
        control_config_committed(a->control, revision, error, waiting);
    else if (a)
        control_config_prepared(a->control, revision, error, waiting);
}

static json_t *attachments_on_keys(void *ctx, struct control *c, const json_t *msg)
{
    (void)c;
    struct attachment *a = ctx;
    return a->owner->events->keys(a->owner->ctx, a->core, msg);
}

static void attachments_on_control_close(void *ctx, struct control *c, const char *reason)
{
    (void)c;
    struct attachment *a = ctx;
    char copy[ATTACHMENT_WORDS];
    text_copy(copy, sizeof copy, reason);
    attachments_control_over(a, copy);
    attachment_close(a, copy);
}

static const struct control_events attachment_control_events = {
    attachments_on_up,         attachments_on_policy, attachments_on_config,
    attachments_on_config_end, attachments_on_keys,   attachments_on_control_close};

static const char *attachment_take_control(struct attachment *a, int fds[2])
{
    struct attachments *all = a->owner;
    struct control_self self = all->events->self(all->ctx);
    int in = fds[0], out = fds[1];
    fds[0] = fds[1] = -1;
    a->control = control_new(all->loop, in, out, a->core, &self, &attachment_control_events, a);
    return a->control ? NULL : "out of memory";
}

/* Data channels ----------------------------------------------------------------------------------------- */

static const char *attachment_take_data(struct attachment *a, const json_t *msg, const int fds[2])
{
    struct attachments *all = a->owner;
    struct attachment *control = attachments_find_control(all, a->core, a->ssh);
    json_int_t index = json_integer_value(json_object_get(msg, "index"));
    if (!control)
        return "a data channel needs a control channel on the same connection";
    if (index < 0 || index >= (json_int_t)all->events->self(all->ctx).data_channels)
        return "no such data channel";
    long id = ++all->last_uplink;
    if (!all->events->uplink(all->ctx, (unsigned)index, id, a->core, control_tunnel(control->control), fds))
        return "the web worker is being started again";
    a->channel = (unsigned)index;
    a->uplink = id;
    return NULL;
}

/* The attach process has gone: sshd ended it, or somebody killed it. */
static void attachments_on_gone(void *ctx, struct local_connection *connection)
{
    struct attachments *all = ctx;
    struct attachment *a = local_connection_data(connection);
    if (!a)
        return;
    if (a->control)
        attachments_control_over(a, "the SSH connection ended");
    else if (a->uplink >= 0)
        all->events->uplink_close(all->ctx, a->channel, a->uplink);
    attachment_free(a);
}

static void attachments_on_message(void *ctx, struct local_connection *connection, const char *type,
                                   json_t *msg, int *fds, size_t n_fds)
{
    struct attachments *all = ctx;
    const char *core = json_string_value(json_object_get(msg, "core"));
    const char *key = json_string_value(json_object_get(msg, "key"));
    const char *channel = json_string_value(json_object_get(msg, "channel"));
    const char *ssh = json_string_value(json_object_get(msg, "connection"));
    const char *problem = "not an attach message";
    struct attachment *a = local_connection_data(connection) ? NULL : calloc(1, sizeof *a);
    if (!a) { /* a second message, or no memory */
        attachments_on_gone(all, connection);
        local_connection_close(connection);
        return;
    }
    a->owner = all;
    a->id = ++all->last_id;
    a->connection = connection;
    a->uplink = -1;
    LIST_INSERT_HEAD(&all->list, a, next);
    local_connection_set_data(connection, a);
    if (strcmp(type, "attach") == 0 && core && key && channel && ssh && n_fds == 2) {
        snprintf(a->core, sizeof a->core, "%s", core);
        snprintf(a->key, sizeof a->key, "%s", key);
        snprintf(a->ssh, sizeof a->ssh, "%s", ssh);
        problem = attachments_refuse(all, a);
        if (!problem)
            problem = strcmp(channel, "control") == 0 ? attachment_take_control(a, fds)
                                                      : attachment_take_data(a, msg, fds);
    }
    if (problem)
        attachment_close(a, problem);
}

static const struct local_events attachments_local_events = {attachments_on_message, attachments_on_gone};

/* ------------------------------------------------------------------------------------------------------- */

static struct attachment *attachments_find_stranger(struct attachments *all)
{
    struct attachment *a;
    LIST_FOREACH (a, &all->list, next)
        if (a->control && attachments_refuse(all, a))
            return a;
    return NULL;
}

static void attachments_on_drop(struct ev_loop *loop, ev_timer *t, int revents)
{
    struct attachments *all = t->data;
    struct attachment *a;
    (void)loop, (void)revents;
    while ((a = attachments_find_stranger(all)) != NULL) {
        const char *reason = attachments_refuse(all, a);
        attachments_control_over(a, reason);
        attachment_close(a, reason);
    }
}

enum err attachments_new(struct ev_loop *loop, const struct box *box, const struct attachments_events *events,
                         void *ctx, struct attachments **out, char *why)
{
    char path[PATH_MAX];
    struct attachments *all = calloc(1, sizeof *all);
    if (!all)
        return ERR_MEMORY;
    all->loop = loop;
    all->box = box;
    all->events = events;
    all->ctx = ctx;
    LIST_INIT(&all->list);
    ev_timer_init(&all->drop, attachments_on_drop, 0, 0);
    all->drop.data = all;
    enum err e = local_server_new(loop, box_run_file(box, BOX_ATTACH_SOCKET, path), &attachments_local_events,
                                  all, &all->server, why);
    if (e != ERR_OK) {
        free(all);
        return e;
    }
    *out = all;
    return ERR_OK;
}

void attachments_say_bye(struct attachments *all, const char *reason)
{
    struct attachment *a;
    LIST_FOREACH (a, &all->list, next) {
        if (a->control && control_is_up(a->control))
            control_say_bye(a->control, reason);
    }
}

void attachments_drop_cores(struct attachments *all)
{
    ev_timer_start(all->loop, &all->drop);
}

void attachments_free(struct attachments *all)
{
    if (!all)
        return;
    ev_timer_stop(all->loop, &all->drop);
    while (!LIST_EMPTY(&all->list)) {
        struct attachment *a = LIST_FIRST(&all->list);
        control_free(a->control);
        attachment_free(a);
    }
    local_server_free(all->server);
    free(all);
}

void attachments_uplink_closed(struct attachments *all, unsigned channel, long id)
{
    struct attachment *a;
    LIST_FOREACH (a, &all->list, next) {
        if (a->uplink >= 0 && a->uplink == id && a->channel == channel) {
            attachment_close(a, NULL);
            return;
        }
    }
}

void attachments_worker_gone(struct attachments *all, unsigned channel)
{
    struct attachment *a, *after;
    for (a = LIST_FIRST(&all->list); a; a = after) {
        after = LIST_NEXT(a, next);
        if (a->uplink >= 0 && a->channel == channel)
            attachment_close(a, NULL);
    }
}

json_t *attachments_status(const struct attachments *all)
{
    json_t *list = json_array();
    const struct attachment *a, *other;
    LIST_FOREACH (a, &all->list, next) {
        if (!a->control)
            continue;
        json_t *row = control_status(a->control);
        int channels = 0;
        LIST_FOREACH (other, &all->list, next) {
            channels +=
                other->uplink >= 0 && strcmp(a->core, other->core) == 0 && strcmp(a->ssh, other->ssh) == 0;
        }
        json_object_set_new(row, "data_channels", json_integer(channels));
        json_array_append_new(list, row);
    }
    return list;
}

/* SSH_CONNECTION is "client port server port". */
size_t attachments_cores(const struct attachments *all, struct netaddr *out, size_t most)
{
    const struct attachment *a;
    size_t n = 0;
    LIST_FOREACH (a, &all->list, next) {
        char address[NETADDR_TEXT];
        snprintf(address, sizeof address, "%.*s", (int)strcspn(a->ssh, " "), a->ssh);
        if (a->control && n < most && netaddr_parse(address, 0, &out[n]) == ERR_OK)
            n++;
    }
    return n;
}
