// What stands around every page: the box's name, whether it still answers, the way to the other pages.

import { add, el, fill, setText } from './dom.js';
import { password } from './pages/password.js';
import { pagesFor } from './pages.js';
import { count, span } from './format.js';
import { address, Router } from './router.js';

function brand(session) {
    return el('a', { class: 'brand', href: '#/overview' }, el('img', { src: '/icon.svg', alt: '', width: 24, height: 24 }),
        el('span', { class: 'brand-name' }, 'Stile'), el('span', { class: 'brand-box' }, session.name, ' ', el('span', { class: 'quiet' }, session.box)));
}

// "Live", or since when not.
function connection(live, signal) {
    const words = el('span', {});
    const element = el('p', { class: 'connection', role: 'status' }, el('span', { class: 'dot', 'aria-hidden': 'true' }), words);
    live.on('state', (state) => {
        element.dataset.state = state;
        setText(words, { live: 'Live', lost: 'Connection lost, trying again', connecting: 'Connecting' }[state]);
    }, signal);
    return element;
}

function account(session, leave) {
    const menu = el('details', { class: 'account' }, el('summary', {}, session.user),
        el('div', { class: 'account-menu' }, el('p', { class: 'quiet' }, session.role === 'admin' ? 'May change everything' : 'May read only'),
            el('button', { type: 'button', onclick: () => { menu.open = false; password(); } }, 'Change password'),
            el('button', { type: 'button', onclick: leave }, 'Sign out')));
    menu.addEventListener('keydown', (event) => {
        if (event.key === 'Escape') {
            menu.open = false;
            menu.querySelector('summary').focus();
        }
    });
    return menu;
}

function navigation(pages) {
    const links = new Map();
    const groups = [...new Set(pages.map((p) => p.group))].map((group, i) => {
        const id = `nav-${i}`;
        return el('div', { class: 'nav-group' }, el('h2', { id }, group), el('ul', { 'aria-labelledby': id },
            pages.filter((p) => p.group === group).map((page) => {
                const link = el('a', { href: address(page.path) }, page.title);
                links.set(page.path, link);
                return el('li', {}, link);
            })));
    });
    const list = el('div', { id: 'nav-list', class: 'nav-list' }, groups);
    const toggle = el('button', { type: 'button', class: 'nav-toggle', 'aria-expanded': 'false', 'aria-controls': 'nav-list' }, 'Menu');
    const element = el('nav', { 'aria-label': 'Pages' }, toggle, list);
    const open = (yes) => {
        element.classList.toggle('open', yes);
        toggle.setAttribute('aria-expanded', String(yes));
    };
    toggle.addEventListener('click', () => open(!element.classList.contains('open')));
    return {
        element, links,
        mark(page) {
            open(false);
            for (const [path, link] of links)
                path === page.path ? link.setAttribute('aria-current', 'page') : link.removeAttribute('aria-current');
        },
    };
}

// How many alarms are raised, beside the link to them.
function countAlarms(link, live, signal) {
    if (!link)
        return;
    const figure = el('span', { class: 'nav-count', hidden: true });
    link.append(' ', figure);
    live.on('alarms', (alarms) => {
        const raised = alarms.filter((a) => a.state === 'active').length;
        figure.hidden = raised === 0;
        setText(figure, `${count(raised)}`);
        figure.setAttribute('aria-label', `${raised} raised`);
    }, signal);
}

function footer(live, session, signal) {
    const words = el('span', {});
    live.on('status', (status) => setText(words, `up for ${span(status.uptime_s)}`), signal);
    return el('footer', { class: 'quiet' }, `Stile ${session.version} · ${session.box} ${session.name} · `, words);
}

export function shell({ root, live, figures, session, has, signal, leave }) {
    const pages = pagesFor(session, has);
    const nav = navigation(pages.filter((page) => !page.closed));
    const main = el('main', { id: 'main', tabindex: -1 });
    let first = true;
    fill(root, el('a', { class: 'skip', href: '#main', onclick: (event) => { event.preventDefault(); main.focus(); } }, 'Skip to the page'),
        el('header', { class: 'bar' }, brand(session), connection(live, signal), account(session, leave)),
        el('div', { class: 'frame' }, nav.element, el('div', { class: 'column' }, main, footer(live, session, signal))));
    countAlarms(nav.links.get('alarms'), live, signal);

    const router = new Router(pages, (page, rest, pageSignal) => {
        const heading = el('h1', { tabindex: -1 }, page.title);
        const body = el('div', { class: 'page' });
        document.title = `${page.title} · ${session.name} · Stile`;
        nav.mark(page);
        fill(main, el('div', { class: 'page-head' }, heading), body);
        const view = {
            session, live, figures, has, rest, signal: pageSignal, write: session.role === 'admin', edge: session.box === 'edge',
            heading, head: main.firstElementChild, add: (...nodes) => add(body, nodes), on: (name, listener) => live.on(name, listener, pageSignal),
        };
        if (page.closed) // an address that an admin has passed on
            view.add(el('p', {}, `This page is for the role ${page.role}. You have the role ${session.role}, which reads all others.`));
        else
            page.open(view);
        if (!first) {
            heading.focus({ preventScroll: true });
            window.scrollTo(0, 0);
        }
        first = false;
    });
    router.start(signal);
}
