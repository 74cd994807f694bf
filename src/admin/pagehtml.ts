/** The status page: one document without dependencies, refreshed from /status.json every two seconds. */
export const statusPage = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Holdfast</title>
<style>
:root { color-scheme: light dark; --ink: #16202b; --soft: #5d6b79; --paper: #f5f7f9; --card: #fff; --line: #dde3e9;
  --good: #15803d; --warn: #b45309; --bad: #b91c1c; --bar: #2563eb; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6ebf0; --soft: #95a3b1; --paper: #0f151b; --card: #182029;
  --line: #2a3540; --good: #4ade80; --warn: #fbbf24; --bad: #f87171; --bar: #60a5fa; } }
* { box-sizing: border-box; }
body { margin: 0; font: 16px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--paper); }
main { max-width: 60rem; margin: 0 auto; padding: 1rem; }
header { display: flex; flex-wrap: wrap; gap: .25rem 1rem; align-items: baseline; margin-bottom: 1rem; }
h1 { font-size: 1.3rem; margin: 0; }
h2 { font-size: .95rem; margin: 0 0 .5rem; color: var(--soft); font-weight: 600; }
.health { font-weight: 700; }
.ok { color: var(--good); } .degraded { color: var(--warn); } .bad { color: var(--bad); }
.soft { color: var(--soft); font-size: .9rem; }
.grid { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); }
section { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: 1rem; margin-bottom: 1rem; min-width: 0; }
.grid section { margin: 0; }
.figure { font-size: 1.5rem; font-weight: 650; }
.bar { height: .5rem; background: var(--line); border-radius: .25rem; overflow: hidden; margin: .5rem 0; }
.bar i { display: block; height: 100%; background: var(--bar); }
ul { margin: 0; padding-left: 1.1rem; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; padding: .35rem .6rem .35rem 0; border-bottom: 1px solid var(--line); font-variant-numeric: tabular-nums; vertical-align: top; }
th { color: var(--soft); font-weight: 600; font-size: .85rem; }
td.path { overflow-wrap: anywhere; }
@media (max-width: 34rem) { .wide { display: none; } }
</style>
</head>
<body>
<main>
<header><h1>Holdfast</h1><span class="health" id="health" role="status">…</span><span class="soft" id="about"></span></header>
<div class="grid">
<section><h2>Objects</h2><div class="figure" id="objects">…</div><div class="soft" id="bytes"></div></section>
<section><h2>Capacity</h2><div class="figure" id="capacity">…</div><div class="bar"><i id="capacitybar" style="width:0"></i></div><div class="soft" id="survives"></div></section>
<section><h2>Stripes</h2><div class="figure" id="stripes">…</div><div class="bar"><i id="stripesbar" style="width:0"></i></div><div class="soft" id="stripesmore"></div></section>
<section><h2>Healing</h2><div class="figure" id="queue">…</div><div class="soft" id="healing"></div></section>
</div>
<section id="warningsbox" style="margin-top:1rem" hidden><h2>To know</h2><ul id="warnings"></ul></section>
<section style="margin-top:1rem"><h2>Nodes</h2>
<table><thead><tr><th>Node</th><th>State</th><th>Used</th><th class="wide">Fragments</th><th class="wide">Write p95</th><th>Folder</th></tr></thead><tbody id="nodes"></tbody></table>
</section>
<p class="soft" id="stamp"></p>
</main>
<script>
const at = (id) => document.getElementById(id);
const bytes = (n) => { const u = ['B','KiB','MiB','GiB','TiB','PiB']; let i = 0; while (n >= 1024 && i < 5) { n /= 1024; i++; } return (i && n < 100 ? n.toFixed(1) : Math.round(n)) + ' ' + u[i]; };
const text = (id, value) => { at(id).textContent = value; };
const share = (part, whole) => (whole > 0 ? Math.min(100, 100 * part / whole) : 0) + '%';
const tone = (health) => health === 'ok' ? 'ok' : health === 'degraded' ? 'degraded' : 'bad';
function show(s) {
  text('health', s.health); at('health').className = 'health ' + tone(s.health);
  text('about', s.version + ' · ' + s.endpoint + ' · ' + s.profile.k + ' + ' + s.profile.m);
  text('objects', s.objects.count.toLocaleString()); text('bytes', bytes(s.objects.bytes) + ' in ' + s.objects.buckets + (s.objects.buckets === 1 ? ' bucket' : ' buckets'));
  text('capacity', bytes(s.capacity.usedBytes) + ' of ' + bytes(s.capacity.usableBytes)); at('capacitybar').style.width = share(s.capacity.usedBytes, s.capacity.usableBytes);
  text('survives', s.survives.text);
  text('stripes', s.stripes.complete + ' of ' + s.stripes.total + ' complete'); at('stripesbar').style.width = share(s.stripes.complete, s.stripes.total);
  text('stripesmore', s.stripes.incomplete + ' incomplete, ' + s.stripes.atRisk + ' at risk, ' + s.stripes.unreadable + ' unreadable');
  text('queue', s.healing.queuedStripes + ' queued');
  text('healing', s.healing.doing.length ? s.healing.doing.join('; ') : s.healing.rebuiltFragments + ' fragments rebuilt since start');
  at('warningsbox').hidden = s.warnings.length === 0;
  at('warnings').replaceChildren(...s.warnings.map((w) => { const li = document.createElement('li'); li.textContent = w; return li; }));
  at('nodes').replaceChildren(...s.nodes.map((n) => {
    const row = document.createElement('tr');
    const cell = (value, cls) => { const td = document.createElement('td'); td.textContent = value; if (cls) td.className = cls; row.append(td); };
    cell(n.id);
    cell(n.problem ? n.state + ': ' + n.problem : n.state, n.state === 'online' ? 'ok' : n.state === 'suspect' ? 'degraded' : 'bad');
    cell(bytes(n.usedBytes)); cell(n.fragments.toLocaleString(), 'wide'); cell(n.writeP95Ms.toFixed(1) + ' ms', 'wide'); cell(n.path, 'path');
    return row;
  }));
  text('stamp', 'As of ' + new Date(s.generatedAtMs).toLocaleTimeString() + ' · Kernels: ' + s.kernels.text);
}
async function refresh() {
  try { const reply = await fetch('status.json', { cache: 'no-store' }); if (!reply.ok) throw new Error(reply.statusText); show(await reply.json()); }
  catch (error) { text('health', 'no answer from the server'); at('health').className = 'health bad'; }
  setTimeout(refresh, 2000);
}
refresh();
</script>
</body>
</html>
`;
