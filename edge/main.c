#include <stdio.h>
#include <string.h>

#include "edge/turn/turn_command.h"

static const struct verb {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *words;
} verbs[] = {
    {"turn", turn_command, "run the TURN server alone"},
};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(argv[1], verbs[i].name) == 0)
            return verbs[i].run(argc - 1, argv + 1);
    fprintf(stderr, "usage: stile-edge VERB [option]...\n");
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        fprintf(stderr, "  %-8s %s\n", verbs[i].name, verbs[i].words);
    return 2;
}
