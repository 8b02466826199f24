// Figures, times and sizes as people read them.

const number = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });
const NONE = '–';

export function count(n) {
    return typeof n === 'number' && Number.isFinite(n) ? number.format(n) : NONE;
}

// Bytes per second as network people say it: bits.
export function bits(bytes) {
    if (typeof bytes !== 'number' || !Number.isFinite(bytes))
        return NONE;
    return scaled(bytes * 8, 1000, ['bit/s', 'kbit/s', 'Mbit/s', 'Gbit/s', 'Tbit/s']);
}

export function bytes(n) {
    return typeof n === 'number' && Number.isFinite(n) ? scaled(n, 1000, ['B', 'kB', 'MB', 'GB', 'TB']) : NONE;
}

function scaled(n, step, units) {
    let i = 0;
    while (n >= step && i < units.length - 1) {
        n /= step;
        i++;
    }
    return `${n >= 100 || i === 0 ? Math.round(n) : Number.isInteger(n) ? n : n.toFixed(n >= 10 ? 1 : 2)} ${units[i]}`;
}

export function milliseconds(ms) {
    if (typeof ms !== 'number' || ms <= 0) // not measured yet
        return NONE;
    return `${ms >= 100 ? Math.round(ms) : ms.toFixed(1)} ms`;
}

// "3 d 4 h", "12 min", "8 s"
export function span(seconds) {
    if (typeof seconds !== 'number' || !Number.isFinite(seconds))
        return NONE;
    const s = Math.max(0, Math.floor(seconds));
    const parts = [[Math.floor(s / 86400), 'd'], [Math.floor(s / 3600) % 24, 'h'], [Math.floor(s / 60) % 60, 'min'], [s % 60, 's']];
    const first = parts.findIndex(([n]) => n > 0);
    if (first < 0)
        return '0 s';
    return parts.slice(first, first < 2 ? first + 2 : first + 1).map(([n, unit]) => `${n} ${unit}`).join(' ');
}

// Seconds since 1970 or RFC 3339; undefined for what is neither.
export function moment(value) {
    const date = typeof value === 'number' && value > 0 ? new Date(value * 1000) : typeof value === 'string' && value ? new Date(value) : null;
    return date && !Number.isNaN(date.getTime()) ? date : undefined;
}

// In the box's own words for time: UTC, as in its logs.
export function time(value) {
    const date = moment(value);
    return date ? date.toISOString().slice(0, 19).replace('T', ' ') : NONE;
}

export function age(value, now = Date.now()) {
    const date = moment(value);
    return date ? span((now - date.getTime()) / 1000) : NONE;
}

export function day(value) {
    return time(value).slice(0, 10);
}

export function words(value) {
    return value === undefined || value === null || value === '' ? NONE : String(value);
}

export function plural(n, one, many = `${one}s`) {
    return `${count(n)} ${n === 1 ? one : many}`;
}
