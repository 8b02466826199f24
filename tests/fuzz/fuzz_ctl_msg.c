/* Control messages: frames off the wire, judged by the table for both senders. */
#include <stdlib.h>

#include "common/json_frame.h"
#include "proto/ctl_msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ctl_channel channel = {0};
    size_t at = 0, used;
    json_t *msg;
    while (json_frame_decode(data + at, size - at, CTL_MESSAGE_MAX, &used, &msg) == ERR_OK) {
        enum ctl_type type;
        enum ctl_sender sender = at & 1 ? CTL_FROM_EDGE : CTL_FROM_CORE;
        if (ctl_channel_check(&channel, sender, msg, &type) == ERR_OK && !ctl_type_str(type))
            abort();
        json_decref(msg);
        if (used <= 4 || used > size - at)
            abort();
        at += used;
    }
    return 0;
}
