#include "proto/stun_attr.h"

static const struct stun_attr_row rows[] = {
#define X(name, type, least, most) {#name, type, least, most},
    STUN_ATTR_TABLE(X)
#undef X
};

const struct stun_attr_row *stun_attr_row(enum stun_attr a)
{
    return &rows[a];
}

enum stun_attr stun_attr_of_type(uint16_t type)
{
    switch (type) {
#define X(name, type, least, most)                                                                           \
    case type:                                                                                               \
        return STUN_##name;
        STUN_ATTR_TABLE(X)
#undef X
    default:
        return STUN_ATTR_COUNT;
    }
}
