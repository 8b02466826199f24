/* The verb "admin" on the database of a box that does not run. */
#include <stdio.h>
#include <stdlib.h>

#include "common/admin/admin_offline.h"
#include "common/admin/admin_private.h"
#include "common/local_server.h"

struct offline {
    struct ev_loop *loop;
    json_t *answer;
};

static void offline_reply(void *data, const json_t *answer)
{
    struct offline *o = data;
    o->answer = json_deep_copy(answer);
    ev_break(o->loop, EVBREAK_ALL);
}

enum err admin_offline(const struct box *box, const json_t *msg, json_t **answer, char *why)
{
    char path[PATH_MAX], by[ADMIN_WHO_MAX];
    struct offline o = {.loop = ev_default_loop(EVFLAG_NOENV)};
    struct admin a = {.loop = o.loop, .box = box, .listener = -1};
    struct admin_task *t = NULL;
    LIST_INIT(&a.tasks);
    log_set_level(LOG_WARNING); /* whoever asked for a change knows of it */
    enum err e = admin_book_open(box_state_file(box, STORE_FILE, path), &a.book, why);
    if (e != ERR_OK)
        return e;
    a.sessions = admin_sessions_new();
    a.limiter = admin_limiter_new();
    a.hasher = admin_hasher_new(o.loop);
    if (a.sessions && a.limiter && a.hasher && (t = admin_task_new(&a, msg)) != NULL) {
        admin_own_tool(t, local_by(by, sizeof by), offline_reply, &o);
        if (!o.answer)
            ev_run(o.loop, 0);
    }
    admin_hasher_free(a.hasher);
    admin_limiter_free(a.limiter);
    admin_sessions_free(a.sessions);
    admin_book_close(a.book);
    snprintf(why, SCHEMA_WHY, "out of memory");
    *answer = o.answer;
    return o.answer ? ERR_OK : ERR_MEMORY;
}
