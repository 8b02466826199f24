/*
 * The answers that the edge makes by itself: small plain pages that tell a guest what to do and an
 * administrator where to look. No version, no inside name, nothing that the request said.
 */
#ifndef EDGE_WEB_PAGE_H
#define EDGE_WEB_PAGE_H

#include "common/buf.h"
#include "common/err.h"
#include "proto/http_message.h"

/* Fills m (initialised, empty) with the head and body (initialised) with the page for a status. reason is
 * what core gave in its stile-reason field, or NULL; one that is not known here is shown to nobody.
 * request_id may be NULL. ERR_MEMORY. */
enum err page_make(unsigned status, const char *reason, const char *request_id, struct http_message *m,
                   struct buf *body);
/* The same for a redirect (301, 308) to a URL, which must be free of CR, LF and NUL. */
enum err page_make_redirect(unsigned status, const char *url, struct http_message *m, struct buf *body);

#endif
