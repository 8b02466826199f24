#include "common/admin/admin_hasher.h"

#include <openssl/crypto.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

struct job {
    STAILQ_ENTRY(job) next;
    char password[ADMIN_PASSWORD_MOST + 1], record[ADMIN_RECORD_MAX];
    bool make, matches;
    admin_hashed *done;
    void *data;
};

STAILQ_HEAD(jobs, job);

struct admin_hasher {
    struct ev_loop *loop;
    ev_async wake; /* the loop: something is done */
    pthread_t thread;
    bool running;         /* the thread was started */
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t work;
    struct jobs waiting, done;
    size_t n; /* submitted, and not told yet */
    bool ending;
};

static void job_free(struct job *j)
{
    OPENSSL_cleanse(j, sizeof *j);
    free(j);
}

static void job_compute(struct job *j)
{
    if (!j->make)
        j->matches = admin_password_matches(j->password, j->record);
    else if (admin_password_hash(j->password, j->record) != ERR_OK)
        j->record[0] = '\0';
}

static void *hasher_thread(void *hasher)
{
    struct admin_hasher *h = hasher;
    pthread_mutex_lock(&h->lock);
    while (!h->ending) {
        struct job *j = STAILQ_FIRST(&h->waiting);
        if (!j) {
            pthread_cond_wait(&h->work, &h->lock);
            continue;
        }
        STAILQ_REMOVE_HEAD(&h->waiting, next);
        pthread_mutex_unlock(&h->lock);
        job_compute(j);
        pthread_mutex_lock(&h->lock);
        STAILQ_INSERT_TAIL(&h->done, j, next);
        ev_async_send(h->loop, &h->wake);
    }
    pthread_mutex_unlock(&h->lock);
    return NULL;
}

static struct job *hasher_take(struct admin_hasher *h)
{
    pthread_mutex_lock(&h->lock);
    struct job *j = STAILQ_FIRST(&h->done);
    if (j) {
        STAILQ_REMOVE_HEAD(&h->done, next);
        h->n--;
    }
    pthread_mutex_unlock(&h->lock);
    return j;
}

static void hasher_on_wake(struct ev_loop *loop, ev_async *a, int revents)
{
    (void)loop, (void)revents;
    struct job *j;
    while ((j = hasher_take(a->data)) != NULL) {
        j->done(j->data, j->matches, j->make ? j->record : "");
        job_free(j);
    }
}

struct admin_hasher *admin_hasher_new(struct ev_loop *loop)
{
    struct admin_hasher *h = calloc(1, sizeof *h);
    if (!h)
        return NULL;
    h->loop = loop;
    STAILQ_INIT(&h->waiting);
    STAILQ_INIT(&h->done);
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->work, NULL);
    ev_async_init(&h->wake, hasher_on_wake);
    h->wake.data = h;
    ev_async_start(loop, &h->wake);
    return h;
}

static void jobs_free(struct jobs *list)
{
    struct job *j;
    while ((j = STAILQ_FIRST(list)) != NULL) {
        STAILQ_REMOVE_HEAD(list, next);
        job_free(j);
    }
}

void admin_hasher_free(struct admin_hasher *h)
{
    if (!h)
        return;
    pthread_mutex_lock(&h->lock);
    h->ending = true;
    pthread_cond_signal(&h->work);
    pthread_mutex_unlock(&h->lock);
    if (h->running)
        pthread_join(h->thread, NULL);
    ev_async_stop(h->loop, &h->wake);
    jobs_free(&h->waiting);
    jobs_free(&h->done);
    pthread_mutex_destroy(&h->lock);
    pthread_cond_destroy(&h->work);
    free(h);
}

/* With the first hash: most boxes never need one. Signals are the loop's. */
static bool hasher_start(struct admin_hasher *h)
{
    sigset_t all, before;
    if (h->running)
        return true;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    h->running = pthread_create(&h->thread, NULL, hasher_thread, h) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return h->running;
}

bool admin_hasher_submit(struct admin_hasher *h, const char *password, const char *record, admin_hashed *done,
                         void *data)
{
    /* n is changed by the loop's thread only. */
    struct job *j = h->n < ADMIN_HASHER_WAITING && hasher_start(h) ? calloc(1, sizeof *j) : NULL;
    if (!j)
        return false;
    snprintf(j->password, sizeof j->password, "%s", password);
    snprintf(j->record, sizeof j->record, "%s", record ? record : "");
    j->make = !record;
    j->done = done;
    j->data = data;
    pthread_mutex_lock(&h->lock);
    STAILQ_INSERT_TAIL(&h->waiting, j, next);
    h->n++;
    pthread_cond_signal(&h->work);
    pthread_mutex_unlock(&h->lock);
    return true;
}
