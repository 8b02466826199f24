// Asks a Prometheus what the Grafana dashboard would ask it, and what its rules ask: each has to be answered without an error, and with
// samples, but for those below, which have none on boxes that are well.
//
//   prometheus_queries.js http://ADDRESS:PORT DASHBOARD.json
const fs = require('fs');

const [base, file] = process.argv.slice(2);
const emptyWhenWell = [/^stile_alarm_active.* > 0$/, /^stile_turn_total_quota.* > 0$/]; // the second: no quota by default
const emptyRecords = ['stile:web_errors:ratio5m']; // no answer was a 5xx

let bad = 0;
const claim = (good, what) => {
    console.log(`${good ? 'ok' : 'not ok'} - ${what}`);
    bad += !good;
};

async function get(path) {
    const response = await fetch(base + path);
    const body = await response.json();
    if (body.status !== 'success') throw new Error(body.error);
    return body.data;
}
const samples = async (query) => (await get(`/api/v1/query?query=${encodeURIComponent(query)}`)).result.length;

const filled = (query) =>
    query.replaceAll('$__rate_interval', '1m').replaceAll('$job', 'stile').replaceAll('$instance', '.+');

async function dashboard() {
    const board = JSON.parse(fs.readFileSync(file));
    const queries = board.panels.flatMap((panel) => (panel.targets ?? []).map((t) => [panel.title, t.expr]));
    const wrong = [];
    for (const [title, query] of queries) {
        const found = await samples(filled(query)).catch((e) => e.message);
        if (typeof found === 'string' || (found === 0 && !emptyWhenWell.some((x) => x.test(query))))
            wrong.push(`${title}: ${query}: ${found}`);
    }
    wrong.forEach((line) => console.log(`# ${line}`));
    claim(queries.length > 50 && wrong.length === 0, `${queries.length} queries of the dashboard are answered, with samples`);
    for (const variable of board.templating.list.filter((v) => v.type === 'query')) {
        const [, selector, label] = /^label_values\((.*), (\w+)\)$/.exec(variable.definition);
        const values = await get(`/api/v1/label/${label}/values?match[]=${encodeURIComponent(filled(selector))}`);
        claim(values.length > 0, `the dashboard's variable ${variable.name} is one of ${values}`);
    }
}

async function rules() {
    const all = (await get('/api/v1/rules')).groups.flatMap((group) => group.rules);
    const wrong = all.filter((rule) => rule.health !== 'ok');
    wrong.forEach((rule) => console.log(`# ${rule.name}: ${rule.health} ${rule.lastError ?? ''}`));
    claim(all.length > 60 && wrong.length === 0, `${all.length} rules are evaluated without an error`);
    for (const rule of all.filter((r) => r.type === 'recording' && !emptyRecords.includes(r.name)))
        claim((await samples(rule.name)) > 0, `the record ${rule.name} has samples`);
}

(async () => {
    await dashboard();
    await rules();
    process.exit(bad ? 1 : 0);
})();
