/*
 * What llhttp, Node's HTTP parser, makes of bytes: the strict build of Debian's node-llhttp, nothing lenient
 * switched on. Reads one connection's bytes from standard input and prints a status for each message that it took
 * whole, then 400 if it refused what came behind, as a server built on it answers; "-" when it waits for more. On
 * a second line: how many heads it took, which is how many requests such a server begins to serve. Where the
 * parser asks for an upgrade, it hands the connection over and says "upgrade".
 *
 * Built by tests/lab/test_strictness.sh with /usr/share/llhttp.
 */
#include <stdio.h>
#include <string.h>

#include "llhttp.h"

enum { BYTES_MAX = 256 * 1024 };

static unsigned heads, complete;

static int on_headers_complete(llhttp_t *p)
{
    (void)p;
    heads++;
    return 0;
}

static int on_message_complete(llhttp_t *p)
{
    (void)p;
    complete++;
    printf("200 ");
    return 0;
}

int main(void)
{
    static char bytes[BYTES_MAX];
    llhttp_settings_t settings;
    llhttp_t parser;
    size_t n = fread(bytes, 1, sizeof bytes, stdin);
    llhttp_settings_init(&settings);
    settings.on_headers_complete = on_headers_complete;
    settings.on_message_complete = on_message_complete;
    llhttp_init(&parser, HTTP_REQUEST, &settings);
    llhttp_errno_t e = llhttp_execute(&parser, bytes, n);
    if (e == HPE_PAUSED_UPGRADE)
        printf("upgrade");
    else if (e != HPE_OK)
        printf("400");
    else if (complete < heads || complete == 0)
        printf("-");
    printf("\n%u\n", heads);
    return 0;
}
