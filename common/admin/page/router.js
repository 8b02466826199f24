// Pages by the part of the address behind #. Leaving a page ends what it listens to.

// pages: [{ path, title, open(view) }]; view gets { signal, rest: [words behind the page's], main }.
export class Router {
    #pages;
    #show;
    #leave = null;

    // show(page, rest, signal) puts the page into the document.
    constructor(pages, show) {
        this.#pages = pages;
        this.#show = show;
    }

    start(signal) {
        window.addEventListener('hashchange', () => this.go(), { signal });
        signal.addEventListener('abort', () => this.#leave?.abort());
        this.go();
    }

    go() {
        const [path, ...rest] = location.hash.replace(/^#\/?/, '').split('/').map(decode);
        const page = this.#pages.find((one) => one.path === path) || this.#pages[0];
        this.#leave?.abort();
        this.#leave = new AbortController();
        this.#show(page, rest, this.#leave.signal);
    }
}

function decode(text) {
    try {
        return decodeURIComponent(text);
    } catch {
        return text; // typed by hand
    }
}

export const address = (...parts) => `#/${parts.map(encodeURIComponent).join('/')}`;
