// A small graph over the last ten minutes: one or two lines, the highest value, and what is read under the pointer.

import { el, setText, svg } from './dom.js';
import { SECONDS } from './figures.js';
import { span } from './format.js';

const WIDTH = 300, HEIGHT = 64;

// 1, 2 or 5 times a power of ten above n: the scale does not tremble with each value.
function ceiling(n) {
    if (!(n > 0))
        return 1;
    const ten = 10 ** Math.floor(Math.log10(n));
    return [1, 2, 5, 10].map((k) => k * ten).find((k) => k >= n);
}

const x = (at, now) => WIDTH - ((now - at) / 1000 / SECONDS) * WIDTH;
const y = (value, top) => HEIGHT - 1 - (value / top) * (HEIGHT - 4);

function line(points, now, top) {
    return points.map((p) => `${x(p.at, now).toFixed(1)},${y(p.value, top).toFixed(1)}`).join(' ');
}

function area(points, now, top) {
    if (points.length === 0)
        return '';
    return `${x(points[0].at, now).toFixed(1)},${HEIGHT} ${line(points, now, top)} ${x(points.at(-1).at, now).toFixed(1)},${HEIGHT}`;
}

// chart({ title, unit: (n) => text, lines: [{ name, label }], factor }): { element, draw(series, now) }. factor: of what unit
// shows over the value, so that the scale is round there.
export function chart({ title, unit, lines, factor = 1 }) {
    const shapes = lines.map((one, i) => ({
        ...one, area: svg('polygon', { class: `area line-${i}` }), line: svg('polyline', { class: `line line-${i}` }),
        value: el('span', { class: 'figure' }, '–'),
    }));
    const cursor = svg('line', { class: 'cursor', y1: 0, y2: HEIGHT, visibility: 'hidden' });
    const picture = svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img' },
        [16, 32, 48].map((h) => svg('line', { class: 'grid', x1: 0, x2: WIDTH, y1: h, y2: h })),
        shapes.map((s) => s.area), shapes.map((s) => s.line), cursor);
    const topLabel = el('span', { class: 'chart-top' });
    const when = el('span', {}, 'now');
    const element = el('figure', { class: 'chart' },
        el('figcaption', {}, el('span', { class: 'chart-title' }, title),
            shapes.map((s, i) => el('span', { class: 'chart-value' }, lines.length > 1 && el('span', { class: `swatch line-${i}`, 'aria-hidden': 'true' }),
                s.label && el('span', { class: 'quiet' }, s.label, ' '), s.value))),
        el('div', { class: 'chart-body' }, topLabel, picture),
        el('div', { class: 'chart-axis quiet', 'aria-hidden': 'true' }, el('span', {}, `${span(SECONDS)} ago`), when));
    let pointer = null, drawn = null;

    function read(points, at) {
        return pointer === null ? points.at(-1) : points.reduce((best, p) => (Math.abs(p.at - at) < Math.abs(best.at - at) ? p : best), points[0]);
    }

    function show() {
        const { series, now } = drawn;
        const at = pointer === null ? now : now - (1 - pointer) * SECONDS * 1000;
        for (const s of shapes) {
            const point = read(series[s.name] || [], at);
            setText(s.value, point ? unit(point.value) : '–');
        }
        setText(when, pointer === null ? 'now' : `${span(Math.round((now - at) / 1000))} ago`);
        cursor.setAttribute('visibility', pointer === null ? 'hidden' : 'visible');
        for (const end of ['x1', 'x2'])
            cursor.setAttribute(end, (pointer ?? 0) * WIDTH);
    }

    function draw(series, now = performance.now()) {
        drawn = { series, now };
        const all = shapes.flatMap((s) => (series[s.name] || []).map((p) => p.value));
        const top = ceiling(Math.max(0, ...all) * factor) / factor;
        for (const s of shapes) {
            const points = series[s.name] || [];
            s.line.setAttribute('points', line(points, now, top));
            s.area.setAttribute('points', area(points, now, top));
        }
        setText(topLabel, unit(top));
        show();
        picture.setAttribute('aria-label', `${title}, the last ten minutes, highest ${unit(Math.max(0, ...all))}`);
    }

    picture.addEventListener('pointermove', (event) => {
        const box = picture.getBoundingClientRect();
        pointer = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
        if (drawn)
            show();
    });
    picture.addEventListener('pointerleave', () => {
        pointer = null;
        if (drawn)
            show();
    });
    return { element, draw };
}
