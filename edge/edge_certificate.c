/*
 * The certificates that guests see: read and judged at start, taken anew when their files change, watched for
 * their end. What is wrong with them is an alarm (common/alarms.h).
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alarms.h"
#include "common/fatal.h"
#include "common/log.h"
#include "edge/edge.h"

/* A stolen key opens the tickets of twice this time (TLS 1.2); it exceeds the two hours that a session may be
 * resumed. */
static const double rotate_s = 2 * 60 * 60 + 60;

/* Certificate and key may be written one after the other: looked at when all have been still for so long. */
static const double settle_s = 0.5;
/* libev knows times of change by the second: what changes again within the second is seen by another look. */
static const double second_look_s = 1.5;
static const double look_again_s = 60 * 60;

static int64_t wall_now(const struct edge *e)
{
    return (int64_t)ev_now(e->loop);
}

json_t *edge_certificate_json(const struct edge *e)
{
    return certificates_json(&e->certificate.set, json_string_value(json_array_get(e->join_hosts, 0)));
}

/* Alarms ----------------------------------------------------------------------------------------------- */

static const char *text_of(const json_t *alarm, const char *key)
{
    return json_string_value(json_object_get(alarm, key));
}

/* The number of each kind. */
enum {
    CERT_NUMBER_expired = ALARM_CERTIFICATE_EXPIRED,
    CERT_NUMBER_not_yet_valid = ALARM_CERTIFICATE_NOT_YET_VALID,
    CERT_NUMBER_revoked = ALARM_CERTIFICATE_REVOKED,
    CERT_NUMBER_host_missing = ALARM_CERTIFICATE_MISMATCHED,
    CERT_NUMBER_expiring = ALARM_CERTIFICATE_EXPIRING,
    CERT_NUMBER_chain = ALARM_CERTIFICATE_CHAIN,
    CERT_NUMBER_refused = ALARM_CERTIFICATE_REFUSED,
    CERT_NUMBER_ocsp = ALARM_CERTIFICATE_OCSP,
    CERT_NUMBER_self_signed = ALARM_CERTIFICATE_SELF_SIGNED,
};

/* One that ends within days is worse than one that ends within weeks, and has a number of its own. */
static unsigned alarm_number(const char *kind, const char *severity)
{
    static const struct {
        const char *kind;
        unsigned number;
    } numbers[] = {
#define X(name) {#name, CERT_NUMBER_##name},
        CERT_ALARMS(X)
#undef X
    };
    bool severe = strcmp(severity, cert_severity_name(CERT_SEVERE)) == 0;
    unsigned number = 0;
    for (size_t i = 0; i < CERT_ALARM_KINDS; i++)
        if (strcmp(kind, numbers[i].kind) == 0)
            number = numbers[i].number;
    return number == ALARM_CERTIFICATE_EXPIRING && severe ? ALARM_CERTIFICATE_ENDS_IN_DAYS : number;
}

static void alarms_match_number(const json_t *list, unsigned number)
{
    json_t *found = json_object(), *alarm;
    size_t i;
    json_array_foreach ((json_t *)(uintptr_t)list, i, alarm)
        if (alarm_number(text_of(alarm, "kind"), text_of(alarm, "severity")) == number)
            json_object_set(found, text_of(alarm, "of"), json_object_get(alarm, "reason"));
    alarm_match(number, found);
    json_decref(found);
}

static void alarms_update(struct edge *e)
{
    struct edge_certificate *c = &e->certificate;
    json_t *now = certificates_alarms(&c->set, e->join_hosts);
    if (!now)
        return;
    for (unsigned number = ALARM_CERTIFICATE_EXPIRED; number <= ALARM_CERTIFICATE_REFUSED; number++)
        alarms_match_number(now, number);
    json_decref(c->alarms);
    c->alarms = now;
}

/* Changes ---------------------------------------------------------------------------------------------- */

/* Its authority has chosen the names. */
static void say_certificate(const char *event, const struct certificate *c)
{
    char subject[2 * sizeof c->info.subject], issuer[2 * sizeof c->info.issuer];
    log_quote(c->info.subject, strlen(c->info.subject), subject, sizeof subject);
    log_quote(c->info.issuer, strlen(c->info.issuer), issuer, sizeof issuer);
    log_event(LOG_NOTICE, event, "file=%s subject=%s issuer=%s until=%lld fingerprint=%s", c->file, subject,
              issuer, (long long)c->info.until, c->info.fingerprint);
}

static void say_changes(const struct certificates *before, const struct certificates *now)
{
    for (size_t i = 0; i < now->n; i++) {
        const struct certificate *c = &now->all[i], *old = certificates_named(before, c->file);
        if (!old || strcmp(old->pem, c->pem) != 0)
            say_certificate(old ? "Certificate Replaced" : "Certificate Added", c);
        if (c->info.ocsp.state == OCSP_good &&
            (!old || old->n_staple != c->n_staple || memcmp(old->staple, c->staple, c->n_staple) != 0))
            log_event(LOG_NOTICE, "OCSP Response Stapled", "file=%s until=%lld", c->file,
                      (long long)c->info.ocsp.until);
    }
    for (size_t i = 0; i < before->n; i++)
        if (!certificates_named(now, before->all[i].file))
            say_certificate("Certificate Removed", &before->all[i]);
}

/* Those in use stay, as if the files were still there. */
static void keep_all(struct edge *e, struct certificates *fresh)
{
    struct cert_alarm alarm = cert_alarm_refused("no certificate is left in the folder");
    json_t *json = cert_alarm_json(&alarm);
    if (json && json_array_size(fresh->refused) == 0) {
        json_object_set_new(json, "of", json_string(BOX_CERT));
        json_array_append(fresh->refused, json);
    }
    json_decref(json);
    json_decref(e->certificate.set.refused);
    e->certificate.set.refused = json_incref(fresh->refused);
    certificates_free(fresh);
}

static bool watch_files(struct edge *e);

/* True when other files are watched than before: what happened to them since they were read has not been
 * seen. */
static bool certificate_reload(struct edge *e)
{
    struct edge_certificate *c = &e->certificate;
    struct certificates fresh;
    if (certificates_load(e->box, e->join_hosts, wall_now(e), &c->set, &fresh) != ERR_OK) {
        log_event(LOG_ERR, "Certificate Refused", "reason=\"out of memory\"");
        return false;
    }
    if (fresh.n == 0) {
        keep_all(e, &fresh);
        alarms_update(e);
        return false;
    }
    bool same = certificates_same(&c->set, &fresh);
    say_changes(&c->set, &fresh);
    certificates_free(&c->set);
    c->set = fresh;
    alarms_update(e);
    if (!same) {
        edge_web_certificate(e);
        edge_turn_certificate(e);
        edge_admin_certificate(e);
    }
    return watch_files(e);
}

void edge_certificate_hosts(struct edge *e)
{
    certificates_look_again(&e->certificate.set, e->join_hosts, wall_now(e));
    alarms_update(e);
    edge_web_certificate(e); /* the first host's is shown to who asks for nobody's */
    edge_turn_certificate(e);
    edge_admin_certificate(e);
}

/* Watching --------------------------------------------------------------------------------------------- */

static void on_changed(struct ev_loop *loop, ev_stat *w, int revents)
{
    struct edge *e = w->data;
    (void)revents;
    e->certificate.looked = false;
    ev_timer_stop(loop, &e->certificate.settle);
    ev_timer_set(&e->certificate.settle, settle_s, 0);
    ev_timer_start(loop, &e->certificate.settle);
}

static void on_settled(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct edge *e = w->data;
    (void)revents;
    if (certificate_reload(e) || !e->certificate.looked) {
        e->certificate.looked = true;
        ev_timer_set(w, second_look_s, 0);
        ev_timer_start(loop, w);
    }
}

/* The same certificate is another thing a day later, the same OCSP response in an hour. */
static void on_look_again(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct edge *e = w->data;
    (void)loop, (void)revents;
    certificates_look_again(&e->certificate.set, e->join_hosts, wall_now(e));
    alarms_update(e);
}

static void on_rotate(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct edge *e = w->data;
    (void)loop, (void)revents;
    tls_tickets_rotate(&e->certificate.tickets);
    edge_web_tickets(e);
}

static void unwatch_files(struct edge *e)
{
    struct edge_certificate *c = &e->certificate;
    while (c->n_watched > 0) {
        ev_stat_stop(e->loop, &c->watched[--c->n_watched].stat);
        free(c->watched[c->n_watched].path);
    }
}

static void watch_file(struct edge *e, const char *file)
{
    char path[PATH_MAX];
    struct edge_certificate_file *f = &e->certificate.watched[e->certificate.n_watched++];
    f->path = xstrdup(box_file(e->box, file, path));
    ev_stat_init(&f->stat, on_changed, f->path, 0);
    f->stat.data = e;
    ev_stat_start(e->loop, &f->stat);
}

/* The folder tells of files that come, go, or are renamed into it; each file of what is written into it, also
 * where it is a link. */
static json_t *files_to_watch(const struct certificates *set)
{
    char ocsp[CERTIFICATE_FILE];
    json_t *files = json_pack("[ss]", ".", BOX_CERT_KEY);
    for (size_t i = 0; i < set->n; i++) {
        certificate_ocsp_file(set->all[i].file, ocsp);
        json_array_append_new(files, json_string(set->all[i].file));
        json_array_append_new(files, json_string(ocsp));
    }
    for (size_t i = 0; i < json_array_size(set->refused) && i < TLS_IDENTITIES_MAX; i++) {
        json_t *file = json_object_get(json_array_get(set->refused, i), "of");
        if (!certificates_named(set, json_string_value(file)))
            json_array_append(files, file);
    }
    return files;
}

/* Watchers of the same files stay: a new one begins with the file as it is by then, and does not tell of what
 * has changed since it was read. */
static bool watch_files(struct edge *e)
{
    struct edge_certificate *c = &e->certificate;
    json_t *files = files_to_watch(&c->set);
    bool same = json_equal(files, c->files);
    json_decref(c->files);
    c->files = files;
    if (same)
        return false;
    unwatch_files(e);
    for (size_t i = 0; i < json_array_size(files); i++)
        watch_file(e, json_string_value(json_array_get(files, i)));
    return true;
}

/* Life ------------------------------------------------------------------------------------------------- */

static enum err certificate_first(struct edge *e, char *why)
{
    struct certificates *set = &e->certificate.set;
    enum err err = certificates_load(e->box, e->join_hosts, wall_now(e), NULL, set);
    if (err != ERR_OK) {
        snprintf(why, SCHEMA_WHY, "certificates: out of memory");
        return err;
    }
    if (set->n > 0)
        return ERR_OK;
    if (json_array_size(set->refused) > 0)
        snprintf(why, SCHEMA_WHY, "%s", text_of(json_array_get(set->refused, 0), "reason"));
    else
        snprintf(why, SCHEMA_WHY,
                 "%s has no certificate (" BOX_CERT "); 'stile-edge cert install' puts one there",
                 e->box->dir);
    return ERR_CONFIG;
}

enum err edge_certificate_start(struct edge *e, char *why)
{
    struct edge_certificate *c = &e->certificate;
    enum err err = certificate_first(e, why);
    if (err != ERR_OK)
        return err;
    alarms_update(e);
    (void)watch_files(e);
    ev_timer_init(&c->settle, on_settled, second_look_s, 0);
    ev_init(&c->look_again, on_look_again);
    ev_timer_set(&c->look_again, look_again_s, look_again_s);
    ev_init(&c->rotate, on_rotate);
    ev_timer_set(&c->rotate, rotate_s, rotate_s);
    tls_tickets_rotate(&c->tickets);
    c->settle.data = c->look_again.data = c->rotate.data = e;
    ev_timer_start(e->loop, &c->rotate);
    ev_timer_start(e->loop, &c->look_again);
    ev_timer_start(e->loop, &c->settle);
    c->looked = c->watching = true;
    return ERR_OK;
}

void edge_certificate_stop(struct edge *e)
{
    struct edge_certificate *c = &e->certificate;
    if (c->watching) {
        ev_timer_stop(e->loop, &c->rotate);
        ev_timer_stop(e->loop, &c->look_again);
        ev_timer_stop(e->loop, &c->settle);
        unwatch_files(e);
    }
    tls_tickets_wipe(&c->tickets);
    certificates_free(&c->set);
    json_decref(c->files);
    json_decref(c->alarms);
}
