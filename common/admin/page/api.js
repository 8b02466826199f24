// Questions to the box: /api/v1, JSON both ways, changes with the session's CSRF token.

const BASE = '/api/v1';
let csrf = '';
let onSignedOut = () => {};

export class ApiError extends Error {
    constructor(status, error) {
        super(error.message || `the box answered ${status}`);
        this.status = status;
        this.line = error.line;
        this.key = error.key;
    }
}

export function setCsrf(token) {
    csrf = token || '';
}

// When the box does not know the session any more.
export function setOnSignedOut(listener) {
    onSignedOut = listener;
}

async function read(response) {
    const text = await response.text();
    try {
        return text ? JSON.parse(text) : {};
    } catch {
        throw new ApiError(response.status, { message: `the box answered ${response.status}, and not in JSON` });
    }
}

async function ask(method, path, body) {
    const headers = { Accept: 'application/json' };
    if (body !== undefined)
        headers['Content-Type'] = 'application/json';
    if (method !== 'GET')
        headers['X-CSRF-Token'] = csrf;
    let response;
    try {
        response = await fetch(BASE + path, {
            method, headers, body: body === undefined ? undefined : JSON.stringify(body),
            credentials: 'same-origin', cache: 'no-store', redirect: 'error',
        });
    } catch {
        throw new ApiError(0, { message: 'the box does not answer' });
    }
    const answer = await read(response);
    if (response.ok)
        return answer;
    if (response.status === 401 && path !== '/session')
        onSignedOut();
    throw new ApiError(response.status, answer.error || {});
}

export const get = (path) => ask('GET', path);
export const post = (path, body = {}) => ask('POST', path, body);
export const put = (path, body) => ask('PUT', path, body);
export const patch = (path, body) => ask('PATCH', path, body);
export const remove = (path) => ask('DELETE', path);

// A part of a path.
export const part = (text) => encodeURIComponent(text);

// The rows of a list.
export async function items(path) {
    const answer = await get(path);
    return Array.isArray(answer) ? answer : answer.items || [];
}
