"""The one style sheet: scoped under ``.crlab``, light and dark, emitted once per view.

Colours come from JupyterLab's variables with plain fallbacks; the accents are our own,
chosen per theme for a contrast of at least 4.5 : 1 on the two backgrounds. Nothing means
something by colour alone: every coloured thing carries a sign or a word. Where JupyterLab
styles rendered HTML itself (tables, lists, code), selectors are doubled to outweigh it.

Thread: a constant.
Source: WCAG 2.2 (1.4.1, 1.4.3, 1.4.11, 2.3.3), JupyterLab's theme variables.
"""

from __future__ import annotations

from crlab.model.escape import Markup, trusted

STALE_SECONDS = 12  # no header for so long: a style-only clock shows the stale mark
MARK_SECONDS = 4.0  # a change mark fades over this time

_BASE = """
.crlab{--c-fg:var(--jp-ui-font-color1,#1f2328);--c-dim:#57606a;--c-line:#d0d7de;
--c-bg:var(--jp-layout-color1,#fff);--c-soft:#f3f5f8;--c-blue:#0759b8;--c-green:#14692c;
--c-amber:#855700;--c-red:#b91c28;--c-violet:#6b3fc4;--c-blue-bg:#e3effd;--c-green-bg:#dff5e5;
--c-amber-bg:#fdf1d2;--c-red-bg:#fde6e7;--c-shadow:0 1px 2px #1f232814;
--c-mono:var(--jp-code-font-family,ui-monospace,Menlo,Consolas,monospace);
color:var(--c-fg);font:13px/1.45 var(--jp-ui-font-family,system-ui,sans-serif);
container-type:inline-size;max-width:1080px}
[data-jp-theme-light="false"] .crlab,.vscode-dark .crlab,html[theme="dark"] .crlab{
--c-fg:var(--jp-ui-font-color1,#e6edf3);--c-dim:#a3adb8;--c-line:#3d444d;
--c-bg:var(--jp-layout-color1,#111);--c-soft:#1b2027;--c-blue:#6cb2ff;--c-green:#56d071;
--c-amber:#e3b341;--c-red:#ff8a84;--c-violet:#c4a1ff;--c-blue-bg:#122a45;--c-green-bg:#10301a;
--c-amber-bg:#33270a;--c-red-bg:#3c1618;--c-shadow:none}
.crlab *{box-sizing:border-box}
.crlab .sr{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);
white-space:nowrap}
.crlab .dim{color:var(--c-dim)}
.crlab.crlab.crlab code,.crlab .mono{font:12px/1.45 var(--c-mono);background:none;
color:inherit;padding:0}
.crlab .good{color:var(--c-green)}.crlab .busy{color:var(--c-blue)}
.crlab .warn{color:var(--c-amber)}.crlab .bad{color:var(--c-red)}
.crlab .badge{display:inline-block;vertical-align:middle;padding:0 7px;border-radius:9px;
font-size:11px;line-height:17px;border:1px solid currentColor;white-space:nowrap}
.crlab .badge.good{background:var(--c-green-bg)}.crlab .badge.busy{background:var(--c-blue-bg)}
.crlab .badge.warn{background:var(--c-amber-bg)}.crlab .badge.bad{background:var(--c-red-bg)}
.crlab .head{display:flex;flex-wrap:wrap;gap:3px 10px;align-items:center;padding:4px 0 6px;
font-size:12px}
.crlab .head .where{font-weight:600}
.crlab .head .asof{margin-left:auto;color:var(--c-dim);font-variant-numeric:tabular-nums}
.crlab .note{padding:5px 9px;border-left:3px solid currentColor;margin:4px 0;border-radius:3px}
.crlab .note.bad{background:var(--c-red-bg)}.crlab .note.warn{background:var(--c-amber-bg)}
.crlab .note.busy{background:var(--c-blue-bg)}.crlab .note.good{background:var(--c-green-bg)}
.crlab .foot{color:var(--c-dim);font-size:12px;padding:4px 0;font-variant-numeric:tabular-nums}
.crlab .head{position:relative}
.crlab .stale{visibility:hidden;position:absolute;left:0;top:100%;z-index:2}
.crlab.is-live .stale{animation:crlab-stale 1ms linear 12s forwards}
@keyframes crlab-stale{to{visibility:visible}}
@keyframes crlab-fade{from{background-color:var(--mark)}to{background-color:transparent}}
@keyframes crlab-flow{to{stroke-dashoffset:-12}}
"""

_TABLE = """
.crlab .scroll{overflow-x:auto;border:1px solid var(--c-line);border-radius:6px}
.crlab .scroll table{border-collapse:collapse;width:100%;margin:0;font-size:12px;table-layout:auto;
background:var(--c-bg);border:0;font-variant-numeric:tabular-nums}
.crlab .scroll caption{text-align:left;padding:0;caption-side:top}
.crlab .scroll th,.crlab .scroll td{padding:3px 10px;text-align:left;vertical-align:top;border:0;
border-top:1px solid var(--c-line);white-space:nowrap;max-width:340px;overflow:hidden;
text-overflow:ellipsis;unicode-bidi:isolate;background:none;font-weight:400}
.crlab th,.crlab td{color:var(--c-fg)}
.crlab .scroll thead th{border-top:0;background:var(--c-soft);color:var(--c-dim);font-weight:600;
font-size:11px;position:static}
.crlab .scroll thead{border:0}
.crlab .scroll tbody tr,.crlab .scroll tbody tr:nth-child(odd){background:none}
.crlab .scroll tbody tr:hover{background:var(--c-soft)}
.crlab .scroll td.num,.crlab .scroll th.num{text-align:right}
.crlab .scroll td.wrap{white-space:pre-wrap;overflow-wrap:anywhere;max-width:none}
.crlab .scroll td.mark,.crlab .scroll th.mark{width:16px;padding:3px 0 3px 8px;font-weight:700;
font-family:var(--c-mono)}
.crlab .scroll tr.added{--mark:var(--c-green-bg)}.crlab .scroll tr.modified{--mark:var(--c-blue-bg)}
.crlab .scroll tr.deleted{--mark:var(--c-red-bg)}
.crlab .scroll tr.added>td.mark{color:var(--c-green)}.crlab .scroll tr.modified>td.mark{
color:var(--c-blue)}
.crlab .scroll tr.deleted>td.mark{color:var(--c-red)}
.crlab .scroll tr.added>*,.crlab .scroll tr.deleted>*,.crlab .scroll tr.modified>.ch{
animation:crlab-fade 4s ease-out
forwards}
.crlab .scroll tr.modified>.ch{font-weight:600}
.crlab .scroll tr.deleted>*{text-decoration:line-through;color:var(--c-dim)}
.crlab .scroll tr.deleted>td.mark{text-decoration:none}
.crlab .scroll tr.open>*{background:var(--c-blue-bg)}
.crlab.crlab .diff{margin:4px 0;padding:0;list-style:none;font:12px/1.55 var(--c-mono)}
.crlab .diff li{padding:0 8px;overflow-wrap:anywhere;white-space:pre-wrap;list-style:none}
.crlab .diff .add{color:var(--c-green);background:var(--c-green-bg)}
.crlab .diff .del{color:var(--c-red);background:var(--c-red-bg)}
.crlab .diff .chg{color:var(--c-fg);background:var(--c-blue-bg)}
.crlab.crlab pre{margin:4px 0;padding:6px 10px;background:var(--c-soft);color:var(--c-fg);
border-radius:6px;font:12px/1.45 var(--c-mono);overflow:auto;white-space:pre-wrap;
overflow-wrap:anywhere}
.crlab h3,.crlab h4{font-size:12px;font-weight:600;margin:9px 0 3px;color:var(--c-fg);
letter-spacing:0;line-height:1.45}
.crlab .two{display:grid;grid-template-columns:repeat(auto-fit,minmax(270px,1fr));gap:4px 18px}
.crlab .two.slim{grid-template-columns:repeat(auto-fit,minmax(170px,1fr))}
.crlab .kv{display:grid;grid-template-columns:max-content 1fr;gap:1px 12px;margin:2px 0}
.crlab dl dt,.crlab dl dd{float:none;display:block;position:static;width:auto;margin:0;padding:0}
.crlab .kv dt{color:var(--c-dim);font-weight:400}.crlab .kv dd{margin:0;overflow-wrap:anywhere;
unicode-bidi:isolate}
.crlab.crlab ul.plain,.crlab.crlab ol.plain{margin:2px 0 8px;padding-left:22px}
.crlab.crlab .tree,.crlab.crlab .tree ul,.crlab.crlab .tree li{list-style:none;margin:0;padding:0}
.crlab.crlab .tree ul{padding-left:16px;border-left:1px solid var(--c-line);margin-left:6px}
.crlab .tree li{padding:1px 0;overflow-wrap:anywhere}
"""

_PIPE = """
.crlab.crlab .boxes{list-style:none;margin:2px 3px 8px;padding:0;display:grid;gap:28px 34px;
grid-template-columns:repeat(4,minmax(0,1fr));grid-auto-rows:144px}
.crlab .box{position:relative;border:1px solid var(--c-line);border-radius:9px;
background:var(--c-bg);box-shadow:var(--c-shadow);padding:7px 10px;min-width:0;list-style:none;
margin:0}
.crlab .box>.in{overflow:hidden;height:100%}
.crlab .box .t{font-weight:600;font-size:12.5px;white-space:nowrap;overflow:hidden;
text-overflow:ellipsis}
.crlab .box .b{height:20px;overflow:hidden;line-height:18px}
.crlab .box .n{font-size:22px;line-height:27px;font-weight:600;white-space:nowrap;
font-variant-numeric:tabular-nums}
.crlab .box .n small{font-size:11.5px;font-weight:400;color:var(--c-dim)}
.crlab .box .f{margin:1px 0 0;font-size:11px;line-height:15px}
.crlab .box .f div{display:flex;gap:6px;justify-content:space-between;white-space:nowrap}
.crlab .box .f dt{color:var(--c-dim);font-weight:400;flex:none}
.crlab .box .f dd{margin:0;overflow:hidden;text-overflow:ellipsis;font-family:var(--c-mono)}
.crlab .box.absent{border-style:dashed;box-shadow:none;background:none}
.crlab .box.absent .t{color:var(--c-dim);font-weight:400}
.crlab .box.sel{border-color:var(--c-violet);box-shadow:0 0 0 1px var(--c-violet)}
.crlab .box.sel .t{color:var(--c-violet);text-decoration:underline;text-underline-offset:3px}
.crlab .box.act{border-color:var(--c-blue);box-shadow:0 0 0 2px var(--c-blue)}
.crlab .box.b-server{grid-area:1/1}.crlab .box.b-reflector{grid-area:1/2}
.crlab .box.b-queue{grid-area:1/3}.crlab .box.b-indexer{grid-area:1/4}
.crlab .box.b-handlers{grid-area:2/4}.crlab .box.b-workqueue{grid-area:2/3}
.crlab .box.b-reconcile{grid-area:2/2}.crlab .box.b-client{grid-area:2/1}
.crlab .arrow{position:absolute;width:34px;height:14px;top:calc(50% - 7px);right:-35px;
overflow:visible;color:var(--c-dim)}
.crlab .box.b-handlers .arrow,.crlab .box.b-workqueue .arrow,.crlab .box.b-reconcile .arrow{
right:auto;left:-35px;transform:rotate(180deg)}
.crlab .box.b-indexer .arrow,.crlab .box.b-client .arrow{left:calc(50% - 17px);right:auto;
top:auto;bottom:-21px;transform:rotate(90deg)}
.crlab .box.b-client .arrow{bottom:auto;top:-21px;transform:rotate(-90deg)}
.crlab .arrow line{stroke:currentColor;stroke-width:1.5}
.crlab .arrow path{fill:currentColor}
.crlab .arrow .lab{display:none}
.crlab .box.act .arrow{color:var(--c-blue)}
.crlab .box.act .arrow line{stroke-width:2.5;stroke-dasharray:6 6;
animation:crlab-flow .5s linear infinite}
.crlab .said{border-left:3px solid var(--c-blue);padding:3px 10px;margin:4px 0}
.crlab .said small{display:block;color:var(--c-dim);font-size:11.5px}
@container (max-width:600px){.crlab.crlab .boxes{grid-template-columns:repeat(2,minmax(0,1fr));
gap:10px}.crlab .boxes .box{grid-area:auto}.crlab .boxes .arrow{display:none}}
.crlab svg text{fill:var(--c-dim);font:11px var(--jp-ui-font-family,system-ui,sans-serif)}
.crlab svg .axis{stroke:var(--c-line);stroke-width:1}
.crlab .s0{fill:var(--c-blue);stroke:var(--c-blue)}
.crlab .s1{fill:var(--c-green);fill-opacity:.35;stroke:var(--c-green)}
.crlab .s2{fill:none;stroke:var(--c-red);stroke-dasharray:2 1.5}
.crlab .s3{fill:var(--c-violet);fill-opacity:.65;stroke:var(--c-violet)}
.crlab .s4{fill:var(--c-amber);fill-opacity:.35;stroke:var(--c-amber);stroke-dasharray:4 1}
.crlab .s5{fill:var(--c-dim);fill-opacity:.25;stroke:var(--c-dim)}
.crlab svg .cursor{stroke:var(--c-blue);stroke-width:2}
.crlab.crlab .legend{display:flex;flex-wrap:wrap;gap:2px 16px;font-size:12px;list-style:none;
margin:0;padding:2px 0}
.crlab .legend li{list-style:none;white-space:nowrap}
.crlab .legend svg{vertical-align:-2px;margin-right:5px}
@media (prefers-reduced-motion:reduce){.crlab tr>*,.crlab .box.act .arrow line{
animation:none!important}.crlab .scroll tr.added>*,.crlab .scroll tr.deleted>*,
.crlab .scroll tr.modified>.ch{
background-color:var(--mark)}}
"""

CSS = (_BASE + _TABLE + _PIPE).replace("\n", "")


def style_sheet() -> Markup:
    """Return the sheet as a ``style`` element."""
    return trusted("<style>" + CSS + "</style>")
