// Who is signed in, and on which box.

import { ApiError, get, post, remove, setCsrf } from './api.js';

const HINT = 'stile-signed-in'; // the cookie cannot be seen from here: this says that asking for the session makes sense
let current = null;

function take(answer) {
    current = answer && answer.user ? answer : null;
    setCsrf(current && current.csrf);
    if (current)
        localStorage.setItem(HINT, '1');
    else
        localStorage.removeItem(HINT);
    return current;
}

export const session = () => current;

// The session that the browser still has, or null.
export async function resume() {
    if (!localStorage.getItem(HINT))
        return null;
    try {
        return take(await get('/session'));
    } catch (error) {
        if (error instanceof ApiError && error.status === 401)
            return take(null);
        throw error;
    }
}

export async function signIn(user, password) {
    return take(await post('/session', { user, password }));
}

export async function signOut() {
    try {
        await remove('/session');
    } finally {
        take(null);
    }
}

// What the box can be asked: a function of "GET /bans".
export async function readRoutes() {
    const { paths } = await get('/openapi.json');
    const routes = new Set(Object.entries(paths).flatMap(([path, methods]) => Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.replace(/^\/api\/v1/, '')}`)));
    return (route) => routes.has(route);
}

export function forget() {
    take(null);
}
