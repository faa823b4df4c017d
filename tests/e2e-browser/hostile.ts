/**
 * Attacks that an agent, or text it has read, may aim at a person who reads the page. An attack that works leaves a
 * trace: a global `pwned`, a dialog, a request, or an element with the class `pwned`.
 */
export const HOSTILE: Readonly<Record<string, string>> = {
  script: "<script>window.pwned = 1; alert('pwned')</script>",
  handler: `<img src="x" class="pwned" onerror="window.pwned = 1; alert('pwned')">`,
  svg: `<svg class="pwned" onload="window.pwned=1"><script>alert('pwned')</script></svg>`,
  link:
    `<a class="pwned" href="javascript:alert('pwned')">click</a> ` +
    `[click](javascript:alert('pwned')) javascript:alert('pwned')`,
  frame: `<iframe class="pwned" srcdoc="<script>parent.pwned=1</script>"></iframe>`,
  style:
    `<style class="pwned">body{display:none}</style>` +
    `<link rel="stylesheet" class="pwned" href="http://127.0.0.1:9/x.css">`,
  breaking:
    `</pre></textarea></title></script>--></style>"'\`><b class="pwned">` +
    `\${alert('pwned')}{{constructor.constructor('alert(1)')()}}`,
  form: `<form class="pwned" action="http://127.0.0.1:9/"><input autofocus onfocus="alert('pwned')"></form>`,
  direction: "invoice\u202efdp.exe \u2066hidden\u2069 \u200bzero",
  terminal: "\u001b]0;pwned\u0007\u001b[2J\u001b[31mred\u001b[0m\u0000\u0008",
  prototype: "__proto__ constructor toString",
};

export const ALL_HOSTILE = Object.values(HOSTILE).join("\n");
