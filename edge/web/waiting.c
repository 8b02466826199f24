#include "edge/web/waiting.h"

#include "edge/web/request.h"

void waiting_init(struct web *w)
{
    TAILQ_INIT(&w->waiting.list);
    w->waiting.since = w->now;
}

static bool is_over(const struct web *w)
{
    return w->now - w->waiting.since >= (double)w->limits.wait_seconds;
}

bool waiting_add(struct web *w, struct waiter *x)
{
    if (is_over(w) || w->waiting.n >= (size_t)w->limits.waiting_requests)
        return false;
    TAILQ_INSERT_TAIL(&w->waiting.list, x, next);
    w->waiting.n++;
    x->waits = true;
    return true;
}

void waiting_remove(struct web *w, struct waiter *x)
{
    if (!x->waits)
        return;
    TAILQ_REMOVE(&w->waiting.list, x, next);
    w->waiting.n--;
    x->waits = false;
}

void waiting_begin(struct web *w)
{
    w->waiting.since = w->now;
}

/* The first one, out of the list: what is done with it may free any other. NULL: none waits. */
static struct request *take_first(struct web *w)
{
    struct waiter *x = TAILQ_FIRST(&w->waiting.list);
    if (x)
        waiting_remove(w, x);
    return x ? x->request : NULL;
}

void waiting_serve(struct web *w)
{
    struct request *r;
    for (size_t n = w->waiting.n; n > 0 && (r = take_first(w));
         n--) /* who has to wait again is not asked twice */
        request_go(r);
}

void waiting_sweep(struct web *w)
{
    struct request *r;
    while (is_over(w) && (r = take_first(w)))
        request_waited(r);
}
