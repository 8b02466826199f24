// Tables whose rows stay where they are while their figures change: keyed by row, so that focus, selection and a
// screen reader's place survive each second. On a narrow screen each row becomes a card, labelled by its columns.

import { add, el } from './dom.js';

let captions = 0;

function compare(a, b) {
    if (typeof a === 'number' && typeof b === 'number')
        return a - b;
    return String(a ?? '').localeCompare(String(b ?? ''), 'en', { numeric: true });
}

function same(cell, content) {
    return !(content instanceof Node) && !Array.isArray(content) && cell.textContent === String(content ?? '');
}

// What a cell shows: text, a node or several. Nodes are made anew only when their words are others.
function put(cell, content) {
    if (same(cell, content))
        return;
    const fresh = document.createElement('div');
    add(fresh, [content]);
    if (fresh.childElementCount === cell.childElementCount && fresh.textContent === cell.textContent &&
        cell.dataset.look === (fresh.firstElementChild?.className || '') && !fresh.querySelector('button, a, svg'))
        return;
    cell.dataset.look = fresh.firstElementChild?.className || '';
    cell.replaceChildren(...fresh.childNodes);
}

// columns: [{ label, cell: (row) => content, sort?: (row) => value, numeric?, stays? }]; key: (row) => text.
// A column that `stays` is filled once per row: buttons keep their focus.
export function table({ caption, columns, key, empty, captionHidden = false }) {
    const id = `caption-${++captions}`;
    const body = el('tbody', { role: 'rowgroup' });
    const nothing = el('p', { class: 'empty' }, empty);
    const rows = new Map();
    let order = null, shown = [];

    const heads = columns.map((column, i) => {
        const head = el('th', { scope: 'col', role: 'columnheader', class: column.numeric ? 'number' : null });
        head.append(column.sort ? el('button', { type: 'button', class: 'sort', onclick: () => sortBy(i) }, column.label)
            : el('span', { class: column.label ? null : 'hidden' }, column.label || 'Actions'));
        return head;
    });
    const grid = el('table', { role: 'table', 'aria-labelledby': id }, el('thead', { role: 'rowgroup' }, el('tr', { role: 'row' }, heads)), body);
    const frame = el('div', { class: 'table-frame', role: 'region', 'aria-labelledby': id, tabindex: 0 }, grid);
    const element = el('section', { class: 'block' }, el('h2', { id, class: captionHidden ? 'hidden' : null }, caption), frame, nothing);

    function sortBy(i) {
        order = { i, down: order?.i === i ? !order.down : Boolean(columns[i].numeric) };
        heads.forEach((head, k) => head.setAttribute('aria-sort', k !== i ? 'none' : order.down ? 'descending' : 'ascending'));
        update(shown);
    }

    function sorted(list) {
        if (!order)
            return list;
        const value = columns[order.i].sort;
        return [...list].sort((a, b) => compare(value(a), value(b)) * (order.down ? -1 : 1));
    }

    function rowFor(item) {
        const name = key(item);
        let row = rows.get(name);
        if (!row) {
            row = el('tr', { role: 'row' }, columns.map((c) =>
                el('td', { role: 'cell', 'data-label': c.label, class: [c.numeric && 'number', c.class].filter(Boolean).join(' ') || null })));
            rows.set(name, row);
            columns.forEach((c, i) => c.stays && put(row.children[i], c.cell(item)));
        }
        columns.forEach((c, i) => !c.stays && put(row.children[i], c.cell(item)));
        return row;
    }

    function update(list) {
        shown = list;
        const wanted = sorted(list).map(rowFor);
        wanted.forEach((row, i) => body.children[i] !== row && body.insertBefore(row, body.children[i] || null));
        const keys = new Set(list.map(key));
        for (const [name, row] of rows)
            if (!keys.has(name)) {
                row.remove();
                rows.delete(name);
            }
        frame.hidden = list.length === 0;
        nothing.hidden = list.length > 0;
    }

    update([]);
    nothing.hidden = true;
    return { element, update };
}

// Pairs of a name and what it is. rows: [[label, content]]; those without content are left out.
export function facts(title) {
    const list = el('dl', { class: 'facts' });
    const element = el('section', { class: 'block' }, title && el('h2', {}, title), list);
    const cells = new Map();

    function update(rows) {
        const wanted = rows.filter(([, content]) => content !== undefined && content !== null && content !== '');
        const labels = wanted.map(([label]) => label);
        if (labels.join('\n') !== [...cells.keys()].join('\n')) {
            list.replaceChildren();
            cells.clear();
            for (const label of labels) {
                const cell = el('dd');
                cells.set(label, cell);
                add(list, el('div', {}, el('dt', {}, label), cell));
            }
        }
        for (const [label, content] of wanted)
            put(cells.get(label), content);
    }

    return { element, update };
}
