/* The table. Verbs are those that the command line asks for: `stile-edge ban add` and POST /api/v1/bans are
 * the same message. */
#include "common/admin/admin_route.h"

#define API "/api/v1"

#define NAME(words)                                                                                          \
    {                                                                                                        \
        "name", ADMIN_TEXT, .required = true, .help = words                                                  \
    }
#define PASSWORD(words)                                                                                      \
    {                                                                                                        \
        "password", ADMIN_TEXT, .required = true, .secret = true, .help = words                              \
    }
#define ROLE(needed)                                                                                         \
    {                                                                                                        \
        "role", ADMIN_TEXT, .required = needed, .help = "admin or reader"                                    \
    }

const struct admin_route admin_routes[] = {
    /* Who is asking */
    {"POST", API "/session", ADMIN_ANYONE, ADMIN_BOTH, "admin", "login", .schema = "Session",
     .help = "Log in: sets the session's cookie",
     .fields = {{"user", ADMIN_TEXT, .required = true, .help = "name of an admin user"},
                PASSWORD("its password")}},
    {"GET", API "/session", ADMIN_READER, ADMIN_BOTH, "admin", "session", .schema = "Session",
     .help = "Who is logged in, and where"},
    {"DELETE", API "/session", ADMIN_READER, ADMIN_BOTH, "admin", "logout", .schema = "Done",
     .help = "Log out"},
    {"POST", API "/session/password", ADMIN_READER, ADMIN_BOTH, "admin", "own_password", .schema = "Done",
     .help = "Change one's own password; one's other sessions end",
     .fields = {{"old", ADMIN_TEXT, .required = true, .secret = true, .help = "the password until now"},
                {"new", ADMIN_TEXT, .required = true, .secret = true, .help = "the new one"}}},
    /* The box */
    {"GET", API "/status", ADMIN_READER, ADMIN_BOTH, "status", .schema = "Status",
     .help = "What `status --json` says"},
    {"GET", API "/live", ADMIN_READER, ADMIN_BOTH, "status", .live = true, .schema = "Status",
     .help = "Server-sent events: `status` each second, `event` and `alarm` as they happen"},
    {"POST", API "/reload", ADMIN_WRITER, ADMIN_BOTH, "reload", .schema = "Reload",
     .help = "Read the config again"},
    {"GET", "/metrics", ADMIN_READER, ADMIN_BOTH, "metrics", .text = true, .schema = "Metrics",
     .help = "Figures for Prometheus"},
    {"GET", API "/alarms", ADMIN_READER, ADMIN_BOTH, "alarms", .schema = "Alarms",
     .help = "What is wrong, the worst first", .fields = {{"all", ADMIN_FLAG, .help = "also what is over"}}},
    {"POST", API "/alarms/ack", ADMIN_WRITER, ADMIN_BOTH, "alarm_ack", .schema = "Alarm",
     .help = "Say that one is being looked after",
     .fields = {{"number", ADMIN_NUMBER, .required = true, .help = "of the alarm"},
                {"subject", ADMIN_TEXT, .required = true, .help = "what it is about"}}},
    {"GET", API "/events", ADMIN_READER, ADMIN_BOTH, "events", .schema = "Events",
     .help = "What happened, the newest first; with after the oldest first",
     .fields = {{"before", ADMIN_NUMBER, .help = "only events with a lower id"},
                {"after", ADMIN_NUMBER, .help = "only events with a higher id"},
                {"limit", ADMIN_NUMBER, .help = "at most so many"},
                {"level", ADMIN_TEXT, .help = "of this and above: error, warning or notice"},
                {"text", ADMIN_TEXT, .help = "that has this in it"}}},
    /* The config, on core */
    {"GET", API "/config", ADMIN_READER, ADMIN_BOTH, "config_show", .schema = "Config",
     .help = "stile.json, as it is in force"},
    {"POST", API "/config/check", ADMIN_READER, ADMIN_CORE, "config_check", .schema = "ConfigChecked",
     .big = true, .help = "What would be if this were the config",
     .fields = {{"text", ADMIN_TEXT, .required = true, .help = "a whole stile.json"}}},
    {"PUT", API "/config", ADMIN_WRITER, ADMIN_CORE, "config_put", .schema = "ConfigChanged", .big = true,
     .help = "Take this config over, on every box or nowhere",
     .fields = {{"text", ADMIN_TEXT, .required = true, .help = "a whole stile.json"},
                {"revision", ADMIN_NUMBER, .required = true,
                 .help = "the one in force that it was made from"}}},
    {"GET", API "/config/history", ADMIN_READER, ADMIN_CORE, "config_history", .schema = "ConfigHistory",
     .help = "The last revisions; with revision the text of one",
     .fields = {{"revision", ADMIN_NUMBER, .help = "this one's text"}}},
    {"POST", API "/config/rollback", ADMIN_WRITER, ADMIN_CORE, "config_rollback", .schema = "ConfigChanged",
     .help = "Take an earlier config over again, as a new revision",
     .fields = {{"revision", ADMIN_NUMBER, .required = true, .help = "of the history"}}},
    {"GET", API "/allow", ADMIN_READER, ADMIN_BOTH, "status", .list = "allowlist", .only_list = true,
     .schema = "Rules", .help = "The HTTP allow list in force"},
    {"POST", API "/dns/flush", ADMIN_WRITER, ADMIN_CORE, "dns", .schema = "Flushed",
     .help = "Ask DNS for the web bridges again"},
    /* TURN, bans, certificates */
    {"GET", API "/turn/users", ADMIN_READER, ADMIN_EDGE, "user", "list", .list = "users",
     .schema = "TurnUsers", .help = "TURN users, at most 1000; more: ask again with after",
     .fields = {{"after", ADMIN_TEXT, .help = "the last name of the list before"}}},
    {"POST", API "/turn/users", ADMIN_WRITER, ADMIN_EDGE, "user", "add", .schema = "Done",
     .help = "Add a TURN user", .fields = {NAME("of the user"), PASSWORD("for TURN")}},
    {"DELETE", API "/turn/users/{name}", ADMIN_WRITER, ADMIN_EDGE, "user", "remove", .schema = "Done",
     .help = "Remove a TURN user"},
    {"POST", API "/turn/users/{name}/password", ADMIN_WRITER, ADMIN_EDGE, "user", "password",
     .schema = "Done", .help = "Give a TURN user another password", .fields = {PASSWORD("the new one")}},
    {"POST", API "/turn/users/{name}/enable", ADMIN_WRITER, ADMIN_EDGE, "user", "enable", .schema = "Done",
     .help = "Let a TURN user in again"},
    {"POST", API "/turn/users/{name}/disable", ADMIN_WRITER, ADMIN_EDGE, "user", "disable", .schema = "Done",
     .help = "Keep a TURN user, but let nobody in by it"},
    {"POST", API "/turn/users/{name}/token", ADMIN_WRITER, ADMIN_EDGE, "user", "token", .schema = "TurnToken",
     .help = "Credentials that end", .fields = {{"ttl", ADMIN_NUMBER, .help = "seconds that they are good"}}},
    {"GET", API "/turn/relays", ADMIN_READER, ADMIN_EDGE, "status", .list = "relays", .only_list = true,
     .schema = "Relays", .help = "Relays in use",
     .fields = {{"limit", ADMIN_NUMBER, .help = "at most so many"}}},
    {"GET", API "/bans", ADMIN_READER, ADMIN_EDGE, "ban", "list", .list = "bans", .schema = "Bans",
     .help = "Addresses that are shut out"},
    {"POST", API "/bans", ADMIN_WRITER, ADMIN_EDGE, "ban", "add", .schema = "Done",
     .help = "Shut an address out",
     .fields = {{"address", ADMIN_TEXT, .required = true, .help = "IP address"},
                {"seconds", ADMIN_NUMBER, .required = true, .help = "for so long"},
                {"reason", ADMIN_TEXT, .help = "for whoever reads the list"}}},
    {"DELETE", API "/bans/{address}", ADMIN_WRITER, ADMIN_EDGE, "ban", "remove", .schema = "Done",
     .help = "Let an address in again"},
    {"GET", API "/certificates", ADMIN_READER, ADMIN_EDGE, "status", .list = "certificates",
     .only_list = true, .schema = "Certificates", .help = "Certificates that guests see"},
    /* Who may administer */
    {"GET", API "/users", ADMIN_WRITER, ADMIN_BOTH, "admin", "user_list", .list = "users",
     .schema = "AdminUsers", .help = "Admin users of this box"},
    {"POST", API "/users", ADMIN_WRITER, ADMIN_BOTH, "admin", "user_add", .schema = "Done",
     .help = "Add an admin user",
     .fields = {NAME("to log in with"), PASSWORD("at least 10 characters"), ROLE(true)}},
    {"PATCH", API "/users/{name}", ADMIN_WRITER, ADMIN_BOTH, "admin", "user_change", .schema = "Done",
     .help = "Change an admin user; its sessions end",
     .fields = {{"password", ADMIN_TEXT, .secret = true, .help = "a new one"}, ROLE(false)}},
    {"DELETE", API "/users/{name}", ADMIN_WRITER, ADMIN_BOTH, "admin", "user_remove", .schema = "Done",
     .help = "Remove an admin user"},
    {"GET", API "/tokens", ADMIN_WRITER, ADMIN_BOTH, "admin", "token_list", .list = "tokens",
     .schema = "Tokens", .help = "API tokens, without what is secret in them"},
    {"POST", API "/tokens", ADMIN_WRITER, ADMIN_BOTH, "admin", "token_add", .schema = "Token",
     .help = "Make an API token; it is shown this once",
     .fields = {NAME("what it is for"),
                ROLE(true),
                {"days", ADMIN_NUMBER, .help = "until it expires: 1 to 3660, 365 if absent"}}},
    {"DELETE", API "/tokens/{id}", ADMIN_WRITER, ADMIN_BOTH, "admin", "token_remove", .schema = "Done",
     .help = "Make a token void"},
    {"GET", API "/audit", ADMIN_WRITER, ADMIN_BOTH, "admin", "audit", .list = "entries", .schema = "Audit",
     .help = "Who changed what, the newest first",
     .fields = {{"before", ADMIN_NUMBER, .help = "only entries with a lower id"},
                {"limit", ADMIN_NUMBER, .help = "at most so many, 1 to 500; 100 if absent"}}},
    {"GET", API "/openapi.json", ADMIN_READER, ADMIN_BOTH, "admin", "session", .schema = "OpenApi",
     .help = "This description"},
    {0}};
