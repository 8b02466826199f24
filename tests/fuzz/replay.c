/*
 * A plain main() for a fuzz target: feeds it every file of the directories given, and the empty input.
 *   replay DIRECTORY...
 * Prints one line, `ok - replay NAME (N inputs)`; a target that fails crashes.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int replay_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f) {
        perror(path);
        return -1;
    }
    /* Memory of exactly the file's size, so that the sanitizers see any byte too many. */
    int result = -1;
    long n = fseek(f, 0, SEEK_END) == 0 ? ftell(f) : -1;
    uint8_t *data = n >= 0 ? malloc(n ? (size_t)n : 1) : NULL;
    rewind(f);
    if (data && fread(data, 1, (size_t)n, f) == (size_t)n) {
        LLVMFuzzerTestOneInput(data, (size_t)n);
        result = 0;
    } else {
        perror(path);
    }
    free(data);
    fclose(f);
    return result;
}

static int replay_directory(const char *directory)
{
    char path[4096];
    int inputs = 0;
    DIR *d = opendir(directory);
    if (!d) {
        perror(directory);
        return -1;
    }
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", directory, e->d_name);
        if (replay_file(path) != 0) {
            inputs = -1;
            break;
        }
        inputs++;
    }
    closedir(d);
    return inputs;
}

int main(int argc, char **argv)
{
    const char *slash = strrchr(argv[0], '/'), *name = slash ? slash + 1 : argv[0];
    int total = 1;
    LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    for (int i = 1; i < argc; i++) {
        int inputs = replay_directory(argv[i]);
        if (inputs < 0) {
            printf("not ok - replay %s\n", name);
            return 1;
        }
        total += inputs;
    }
    printf("ok - replay %s (%d inputs)\n", name, total);
    return 0;
}
