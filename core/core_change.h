/*
 * A change of the config while requests run, from files or from a text: read and judged as a whole, as at the
 * start; then every edge that is there prepares its part; only if all of them can, core writes the file (if
 * the change came as a text) and all of them commit. Otherwise nothing has changed anywhere, and the answer
 * says why. An edge that is away gets the config that is in force when it is back.
 *
 *   core main                     tunnel worker         edge
 *   judged  ---- config_prepare ----> ---- config_prepare ---->  judged, every turn worker prepared
 *           <------- config --------  <--- config_prepared ----  or with a reason
 *   commit  ---- config_commit -----> ---- config_commit  ---->  taken over, stile.json written
 *           or config_rollback
 */
#ifndef CORE_CORE_CHANGE_H
#define CORE_CORE_CHANGE_H

#include "core/core.h"

enum { CORE_CHANGE_BY = 120 };

struct core_change {
    const char *type; /* of the answer */
    char *text;       /* what stile.json shall be; NULL: what it is. Stolen */
    bool dry;         /* nobody commits: the answer is what would be */
    char by[CORE_CHANGE_BY];
    json_t *extra; /* further members of the answer of a commit; stolen. NULL: none */
    void (*ended)(void *ctx,
                  bool committed); /* called before the answer, or when core stops. NULL: nobody asks */
    void *ctx;
};

/* Answers request, now or later:
 *   {type, revision, kept, started, retired,     tunnels
 *    needs_restart,                              "" or what of core's own
 *    waits_for_restart: ["edge1: turn.realm"],   in words, of every box
 *    edges: [{edge, state, waits_for_restart}]}  state "committed" (dry: "prepared"), "away", "older version"
 * dry, instead of all but the type: {ok, diff, waits_for_restart, edges}, or {ok: false, problem}.
 * Refused: {type: "error", reason, code, file?, line?, key?, message}; code "invalid", "edge" (one refused),
 * "write" (the file could not be written). */
void core_change_begin(struct core *c, struct request *request, struct core_change *change);
/* Of the core that stops; NULL is fine. */
void core_change_free(struct change *change);
/* What is in force is kept in the history, and its files are those that the watch has seen. */
void core_change_note(struct core *c, const char *by, const char *summary);

/* core_edges.c: what edges make of it. */
/* Asks every edge that is in both configs and has an active tunnel. done(ctx, results) is called later, with
 * one row for each: {edge, state: "prepared", "away", "older version" or "refused", reason,
 * waits_for_restart}. NULL: out of memory. The rows are the receiver's. */
struct core_edges;
typedef void core_edges_done(void *ctx, json_t *rows);
struct core_edges *core_edges_prepare(struct core *c, const struct config *fresh, core_edges_done *done,
                                      void *ctx);
/* Tells those that are prepared how it ended, and frees. */
void core_edges_commit(struct core_edges *edges);
void core_edges_rollback(struct core_edges *edges);

#endif
