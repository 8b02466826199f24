/*
 * The certificate that guests see: read and judged at start, taken anew when its files change, watched for
 * its end. What is wrong is said once, and again a day later.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/log.h"
#include "edge/edge.h"

enum { PEM_MAX = 1024 * 1024 };

/* A stolen key opens the tickets of twice this time (TLS 1.2); it exceeds the two hours that a session may be
 * resumed. */
static const double rotate_s = 2 * 60 * 60 + 60;

/* Certificate and key are written one after the other: looked at when both have been still for so long. */
static const double settle_s = 0.5;
static const double look_again_s = 24 * 60 * 60;

struct pair {
    char *cert_pem, *key_pem;
    struct cert info;
};

static void pair_free(struct pair *p)
{
    free(p->cert_pem);
    file_wipe(p->key_pem);
    cert_free(&p->info);
}

static int64_t wall_now(const struct edge *e)
{
    return (int64_t)ev_now(e->loop);
}

/* Workers are sent the texts as JSON. */
static bool pair_is_utf8(const struct pair *p)
{
    json_t *json = json_pack("{ss ss}", "cert", p->cert_pem, "key", p->key_pem);
    json_decref(json);
    return json != NULL;
}

static enum err pair_load(const struct edge *e, struct pair *out, char *why)
{
    char cert[PATH_MAX], key[PATH_MAX], problem[256] = "";
    struct pair p = {0};
    enum err err = file_read(box_file(e->box, BOX_CERT, cert), PEM_MAX, &p.cert_pem, NULL, why, SCHEMA_WHY);
    if (err == ERR_OK)
        err =
            file_read_secret(box_file(e->box, BOX_CERT_KEY, key), PEM_MAX, &p.key_pem, NULL, why, SCHEMA_WHY);
    if (err != ERR_OK)
        goto fail;
    err = cert_read(p.cert_pem, p.key_pem, e->box->config.join_host, wall_now(e), &p.info, problem,
                    sizeof problem);
    if (err == ERR_OK && !pair_is_utf8(&p)) {
        snprintf(problem, sizeof problem,
                 "text beside the certificates is not UTF-8; remove what is not between BEGIN and END");
        err = ERR_CONFIG;
    }
    if (err == ERR_OK) {
        *out = p;
        return ERR_OK;
    }
    snprintf(why, SCHEMA_WHY, "%s, %s: %s", cert, key, problem);
fail:
    pair_free(&p);
    return err;
}

static void pair_commit(struct edge *e, struct pair *p)
{
    free(e->cert_pem);
    file_wipe(e->key_pem);
    cert_free(&e->certificate.info);
    e->cert_pem = p->cert_pem;
    e->key_pem = p->key_pem;
    e->certificate.info = p->info;
}

/* What an administrator has to know of it. */
static void certificate_say(struct edge *e)
{
    const struct cert *c = &e->certificate.info;
    long long days = (c->until - wall_now(e)) / 86400;
    if (*c->problem)
        log_event(LOG_WARNING, "Certificate Problem", "subject=\"%s\" reason=\"%s\"", c->subject, c->problem);
    else if (c->soon)
        log_event(LOG_WARNING, "Certificate Expires Soon",
                  "subject=\"%s\" days=%lld reason=\"renew it, then 'stile-edge cert install'\"", c->subject,
                  days);
}

static void certificate_reload(struct edge *e)
{
    struct pair p;
    char why[SCHEMA_WHY];
    if (pair_load(e, &p, why) != ERR_OK) {
        log_event(LOG_ERR, "Certificate Refused",
                  "reason=\"%s\" remedy=\"the one in use stays until this is mended\"", why);
        return;
    }
    if (strcmp(p.cert_pem, e->cert_pem) == 0 && strcmp(p.key_pem, e->key_pem) == 0) {
        pair_free(&p);
        return;
    }
    pair_commit(e, &p);
    log_event(LOG_NOTICE, "Certificate Replaced", "subject=\"%s\" issuer=\"%s\" until=%lld fingerprint=%s",
              e->certificate.info.subject, e->certificate.info.issuer, (long long)e->certificate.info.until,
              e->certificate.info.fingerprint);
    certificate_say(e);
    edge_web_certificate(e);
    edge_turn_certificate(e);
}

/* Watching --------------------------------------------------------------------------------------------- */

static void on_changed(struct ev_loop *loop, ev_stat *w, int revents)
{
    struct edge *e = w->data;
    (void)revents;
    ev_timer_stop(loop, &e->certificate.settle);
    ev_timer_set(&e->certificate.settle, settle_s, 0);
    ev_timer_start(loop, &e->certificate.settle);
}

static void on_settled(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop, (void)revents;
    certificate_reload(w->data);
}

/* The same certificate is another thing a day later. */
static void on_look_again(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct edge *e = w->data;
    struct cert fresh;
    char why[256];
    (void)loop, (void)revents;
    if (cert_read(e->cert_pem, e->key_pem, e->box->config.join_host, wall_now(e), &fresh, why, sizeof why) !=
        ERR_OK)
        return;
    cert_free(&e->certificate.info);
    e->certificate.info = fresh;
    certificate_say(e);
}

static void on_rotate(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct edge *e = w->data;
    (void)loop, (void)revents;
    tls_tickets_rotate(&e->certificate.tickets);
    edge_web_tickets(e);
}

enum err edge_certificate_start(struct edge *e, char *why)
{
    struct edge_certificate *c = &e->certificate;
    struct pair p;
    enum err err = pair_load(e, &p, why);
    if (err != ERR_OK)
        return err;
    pair_commit(e, &p);
    certificate_say(e);
    ev_stat_init(&c->cert_file, on_changed, box_file(e->box, BOX_CERT, c->cert_path), 0);
    ev_stat_init(&c->key_file, on_changed, box_file(e->box, BOX_CERT_KEY, c->key_path), 0);
    ev_init(&c->settle, on_settled);
    ev_init(&c->look_again, on_look_again);
    ev_timer_set(&c->look_again, look_again_s, look_again_s);
    ev_init(&c->rotate, on_rotate);
    ev_timer_set(&c->rotate, rotate_s, rotate_s);
    tls_tickets_rotate(&c->tickets);
    c->cert_file.data = c->key_file.data = c->settle.data = c->look_again.data = c->rotate.data = e;
    ev_timer_start(e->loop, &c->rotate);
    ev_stat_start(e->loop, &c->cert_file);
    ev_stat_start(e->loop, &c->key_file);
    ev_timer_start(e->loop, &c->look_again);
    c->watching = true;
    return ERR_OK;
}

void edge_certificate_stop(struct edge *e)
{
    struct edge_certificate *c = &e->certificate;
    if (c->watching) {
        ev_timer_stop(e->loop, &c->rotate);
        ev_timer_stop(e->loop, &c->look_again);
        ev_timer_stop(e->loop, &c->settle);
        ev_stat_stop(e->loop, &c->key_file);
        ev_stat_stop(e->loop, &c->cert_file);
    }
    tls_tickets_wipe(&c->tickets);
    cert_free(&c->info);
    free(e->cert_pem);
    file_wipe(e->key_pem);
}
