// A unified difference, line by line.

import { el } from './dom.js';

const KINDS = { '+': 'added', '-': 'removed', '@': 'place' };

export function diffView(text) {
    const lines = text.split('\n').filter((line, i, all) => !(line === '' && i === all.length - 1));
    return el('pre', { class: 'diff', tabindex: 0, 'aria-label': 'What would change' }, lines.map((line, i) => {
        const head = /^(\+\+\+|---) /.test(line) && i < 2;
        return el('span', { class: `diff-line ${head ? 'head' : KINDS[line[0]] || ''}` }, `${line}\n`);
    }));
}
