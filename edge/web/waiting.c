#include "edge/web/waiting.h"

#include "edge/web/request.h"

void waiting_init(struct web *w)
{
    TAILQ_INIT(&w->waiting.list);
    w->waiting.since = w->now;
}

void waiting_free(struct web *w)
{
    address_table_free(w->waiting.addresses);
}

enum err waiting_resize(struct web *w, size_t most)
{
    struct waiting *l = &w->waiting;
    if (l->addresses)
        return address_table_resize(l->addresses, most);
    l->addresses = address_table_new(most);
    return l->addresses ? ERR_OK : ERR_MEMORY;
}

static size_t share(const struct web *w)
{
    size_t tenth = (size_t)w->limits.waiting_requests / 10;
    return tenth ? tenth : 1;
}

static bool is_over(const struct web *w)
{
    return w->now - w->waiting.since >= (double)w->limits.wait_seconds;
}

bool waiting_add(struct web *w, struct waiter *x)
{
    if (is_over(w) || w->waiting.n >= (size_t)w->limits.waiting_requests ||
        !address_table_add(w->waiting.addresses, &x->client, share(w)))
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
    address_table_remove(w->waiting.addresses, &x->client);
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
    size_t n = w->waiting.n; /* who has to wait again is not asked twice */
    while (n-- > 0 && (r = take_first(w)) != NULL)
        request_go(r);
}

void waiting_sweep(struct web *w)
{
    struct request *r;
    while (is_over(w) && (r = take_first(w)))
        request_waited(r);
}
