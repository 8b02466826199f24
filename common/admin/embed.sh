#!/bin/sh
# embed.sh FOLDER: C text that has every file of the folder in it, for admin_page.h. A byte behind each one, so that no
# file's beginning is another one's end.
set -eu
cd "$1"
files=$(find . -type f ! -name '.*' ! -name README.md | sed 's|^\./||' | LC_ALL=C sort)
echo '#include "common/admin/admin_page.h"'
i=0
for f in $files; do
    printf '__asm__(".section .rodata\\n.hidden page_%d\\n.hidden page_%d_end\\n.globl page_%d\\n.globl page_%d_end\\n"\n' $i $i $i $i
    printf '        "page_%d:\\n.incbin \\"%s\\"\\npage_%d_end:\\n.byte 0\\n.previous\\n");\n' $i "$1/$f" $i
    printf 'extern const uint8_t page_%d[] __attribute__((visibility("hidden")));\n' $i
    printf 'extern const uint8_t page_%d_end[] __attribute__((visibility("hidden")));\n' $i
    i=$((i + 1))
done
echo 'const struct admin_page_file admin_page_files[] = {'
i=0
for f in $files; do
    printf '    {"%s", page_%d, page_%d_end},\n' "$f" $i $i
    i=$((i + 1))
done
echo '    {0}};'
