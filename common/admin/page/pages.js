// Every page, and on which box and for whom it is.

import { alarms } from './pages/alarms.js';
import { allow } from './pages/allow.js';
import { audit } from './pages/audit.js';
import { bans } from './pages/bans.js';
import { bridge } from './pages/bridge.js';
import { certificates } from './pages/certificates.js';
import { config } from './pages/config.js';
import { edges } from './pages/edges.js';
import { events } from './pages/events.js';
import { overview } from './pages/overview.js';
import { tunnels } from './pages/tunnels.js';
import { turn } from './pages/turn.js';
import { users } from './pages/users.js';

const ALL = [
    { path: 'overview', title: 'Overview', group: 'Status', open: overview },
    { path: 'alarms', title: 'Alarms', group: 'Status', open: alarms },
    { path: 'events', title: 'Event log', group: 'Status', open: events },
    { path: 'bridge', title: 'Web bridge', group: 'Web', open: bridge },
    { path: 'allow', title: 'HTTP allow list', group: 'Web', open: allow },
    { path: 'tunnels', title: 'Tunnels', group: 'Web', open: tunnels },
    { path: 'turn', title: 'TURN', group: 'Media', box: 'edge', open: turn },
    { path: 'certificates', title: 'Certificates', group: 'Security', box: 'edge', open: certificates },
    { path: 'bans', title: 'Bans', group: 'Security', box: 'edge', open: bans },
    { path: 'config', title: 'Configuration', group: 'System', open: config },
    { path: 'edges', title: 'Edges', group: 'System', box: 'core', open: edges },
    { path: 'users', title: 'Users and API tokens', group: 'System', role: 'admin', open: users },
    { path: 'audit', title: 'Audit', group: 'System', role: 'admin', open: audit },
];

export function pagesFor(session) {
    return ALL.filter((page) => (!page.box || page.box === session.box) && (!page.role || page.role === session.role));
}
