// Text with numbered lines, one of which may be marked as wrong.

import { el, fill } from './dom.js';

let editors = 0;

export function editor(label, writable) {
    const id = `editor-${++editors}`;
    const numbers = el('pre', { class: 'editor-numbers', 'aria-hidden': 'true' });
    const area = el('textarea', { id, class: 'editor-text', spellcheck: 'false', autocomplete: 'off', wrap: 'off', readonly: !writable, rows: 28 });
    const band = el('div', { class: 'editor-band', hidden: true, 'aria-hidden': 'true' });
    const element = el('div', { class: 'editor-block' }, el('label', { for: id, class: 'hidden' }, label),
        el('div', { class: 'editor' }, numbers, el('div', { class: 'editor-body' }, band, area)));
    let marked = null;

    function drawNumbers() {
        const n = area.value.split('\n').length;
        if (numbers.childElementCount !== n || numbers.querySelector('.wrong')?.dataset.line !== String(marked ?? ''))
            fill(numbers, Array.from({ length: n }, (_, i) => el('span', { class: i + 1 === marked ? 'wrong' : null, 'data-line': i + 1 }, `${i + 1}\n`)));
    }

    const lineHeight = () => parseFloat(getComputedStyle(area).lineHeight);

    function place() {
        numbers.scrollTop = area.scrollTop;
        const padding = parseFloat(getComputedStyle(area).paddingTop);
        band.hidden = !marked;
        band.style.height = `${lineHeight()}px`;
        band.style.top = `${(marked - 1) * lineHeight() + padding - area.scrollTop}px`;
    }

    // A line's number, or null for none. The cursor goes to its beginning.
    function mark(line) {
        marked = line || null;
        area.setAttribute('aria-invalid', String(Boolean(marked)));
        drawNumbers();
        if (marked) {
            const start = area.value.split('\n').slice(0, marked - 1).join('\n').length + (marked > 1 ? 1 : 0);
            area.focus();
            area.setSelectionRange(start, start);
            area.scrollTop = Math.max(0, (marked - 8) * lineHeight());
        }
        place();
    }

    area.addEventListener('scroll', place);
    area.addEventListener('input', drawNumbers);
    return {
        element, original: '', mark,
        value: () => area.value,
        focus: () => area.focus(),
        onInput(listener) {
            area.addEventListener('input', listener);
            this.changed = listener;
        },
        set(text, asOriginal = false) {
            area.value = text;
            if (asOriginal)
                this.original = area.value;
            marked = null;
            drawNumbers();
            place();
            this.changed?.();
        },
    };
}
