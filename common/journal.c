#include "common/journal.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include "common/log_fields.h"

enum { JOURNAL_MAX = 8192, FIELDS_MAX = 32 };

static int journal = -1;

bool journal_is_stderr(void)
{
    unsigned long long device, inode;
    struct stat st;
    const char *stream = getenv("JOURNAL_STREAM");
    return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(STDERR_FILENO, &st) == 0 &&
           st.st_dev == device && st.st_ino == inode;
}

void journal_close(void)
{
    if (journal >= 0)
        close(journal);
    journal = -1;
}

bool journal_open(const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    journal_close();
    if (strlen(path) >= sizeof to.sun_path)
        return false;
    strcpy(to.sun_path, path);
    journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (journal >= 0 && connect(journal, (const struct sockaddr *)&to, sizeof to) == 0)
        return true;
    journal_close();
    return false;
}

struct message {
    char text[JOURNAL_MAX];
    size_t n;
};

/* One field; left out where there is no room for all of it. A value has no line breaks: log lines have none.
 */
static void add(struct message *m, const char *key, const char *value)
{
    size_t room = sizeof m->text - m->n;
    int n = snprintf(m->text + m->n, room, "%s=%s\n", key, value);
    if (n > 0 && (size_t)n < room && !strchr(value, '\n'))
        m->n += (size_t)n;
}

static void add_fields(struct message *m, const char *fields)
{
    struct log_field f;
    for (int i = 0; i < FIELDS_MAX && log_field_next(&fields, &f); i++) {
        char key[sizeof f.key + 8] = "STILE_";
        for (size_t k = 0; k <= strlen(f.key); k++)
            key[6 + k] = (char)toupper((unsigned char)f.key[k]);
        add(m, key, f.value);
    }
}

bool journal_send(int level, const char *process, const char *event, const char *fields, const char *line)
{
    struct message m;
    char priority[4];
    if (journal < 0)
        return false;
    m.n = 0;
    snprintf(priority, sizeof priority, "%d", level & LOG_PRIMASK);
    add(&m, "MESSAGE", line);
    add(&m, "PRIORITY", priority);
    add(&m, "SYSLOG_IDENTIFIER", program_invocation_short_name);
    add(&m, "SYSLOG_FACILITY", "3");
    add(&m, "STILE_PROCESS", process);
    add(&m, "STILE_EVENT", event);
    add_fields(&m, fields);
    return send(journal, m.text, m.n, MSG_NOSIGNAL) == (ssize_t)m.n;
}
