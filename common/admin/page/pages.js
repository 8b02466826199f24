// Every page, what it needs and for whom it is.

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

// needs: the route without which there is nothing to show; a box that does not have it has no such page.
const ALL = [
    { path: 'overview', title: 'Overview', group: 'Status', needs: 'GET /live', open: overview },
    { path: 'alarms', title: 'Alarms', group: 'Status', needs: 'GET /alarms', open: alarms },
    { path: 'events', title: 'Event log', group: 'Status', needs: 'GET /events', open: events },
    { path: 'bridge', title: 'Web bridge', group: 'Web', needs: 'GET /live', open: bridge },
    { path: 'allow', title: 'HTTP allow list', group: 'Web', needs: 'GET /allow', open: allow },
    { path: 'tunnels', title: 'Tunnels', group: 'Web', needs: 'GET /live', open: tunnels },
    { path: 'turn', title: 'TURN', group: 'Media', needs: 'GET /turn/users', open: turn },
    { path: 'certificates', title: 'Certificates', group: 'Security', needs: 'GET /certificates', open: certificates },
    { path: 'bans', title: 'Bans', group: 'Security', needs: 'GET /bans', open: bans },
    { path: 'config', title: 'Configuration', group: 'System', needs: 'GET /config', open: config },
    { path: 'edges', title: 'Edges', group: 'System', needs: 'GET /edges', open: edges },
    { path: 'users', title: 'Users and tokens', group: 'System', role: 'admin', needs: 'GET /users', open: users },
    { path: 'audit', title: 'Audit', group: 'System', role: 'admin', needs: 'GET /audit', open: audit },
];

// Those that this box has. closed: not for the role of whoever looks.
export function pagesFor(session, has) {
    return ALL.filter((page) => has(page.needs)).map((page) => ({ ...page, closed: Boolean(page.role) && page.role !== session.role }));
}
