import { expect, test } from "bun:test";
import { planService } from "../../src/service/plan-service.ts";
import { UserError } from "../../src/errors.ts";
import { serviceRequest } from "./service-request.ts";

/* The test machines have neither of these service managers, so the tests check the files only. */

test("launchd: leaves the executors of an ended runner alone, and gives a stop time to drain", () => {
  const plist =
    planService(serviceRequest({ command: ["/opt/agent-runner", "--tags", "a&b<c"] }), "darwin").files[0]?.content ??
    "";
  expect(plist).toContain("<key>AbandonProcessGroup</key><true/>");
  expect(plist).toContain("<key>ExitTimeOut</key><integer>90</integer>");
  expect(plist).toContain("<string>a&amp;b&lt;c</string>");
});

test("launchd: the shell exports the lines of the environment file unchanged", async () => {
  const plan = planService(serviceRequest({ command: ["/usr/bin/env"] }), "darwin");
  const words = [...(plan.files[0]?.content ?? "").matchAll(/ {4}<string>([^<]*)<\/string>/g)].map(([, text = ""]) =>
    text.replaceAll("&lt;", "<").replaceAll("&quot;", '"').replaceAll("&amp;", "&"),
  );
  const file = `${import.meta.dir}/environment.env`;
  const child = Bun.spawn(
    words.map((word) => (word.endsWith(".env") ? file : word)),
    { env: {}, stdout: "pipe" },
  );
  const lines = (await new Response(child.stdout).text()).split("\n");
  // What no variable can be called is left out. The last line needs no line feed.
  expect(lines.filter((line) => !/^(PWD|OLDPWD|SHLVL|_)=/.test(line)).sort()).toEqual([
    "",
    "LAST=1",
    'QUOTED=it\'s $HOME and "more" ',
  ]);
});

const ODD = `a&b<c"d'e]]>f&amp;g $HOME \${X} \\n %h ; * é 𝄞`;
const python = Bun.which("python3");

test.skipIf(python === null).each(["user", "system"] as const)(
  "launchd: a reader of property lists finds in that of a %s service what was written",
  (scope) => {
    const plist =
      planService(
        serviceRequest({
          scope,
          runAs: scope === "system" ? "agents" : null,
          command: ["/opt/ü %h/agent-runner", "--tags", ODD],
          projectDir: `/srv/${ODD}`,
        }),
        "darwin",
      ).files[0]?.content ?? "";
    const read = JSON.parse(
      askPython("import json, plistlib, sys; print(json.dumps(plistlib.load(sys.stdin.buffer)))", plist),
    ) as { ProgramArguments: string[]; UserName?: string; WorkingDirectory: string };
    expect(read).toMatchObject({
      Label: "io.agent-runner.agent-runner",
      RunAtLoad: true,
      KeepAlive: { SuccessfulExit: false },
      ExitTimeOut: 90,
    });
    expect(read.ProgramArguments.slice(-3)).toEqual(["/opt/ü %h/agent-runner", "--tags", ODD]);
    expect(read.WorkingDirectory).toBe(`/srv/${ODD}`);
    expect(read.UserName).toBe(scope === "system" ? "agents" : undefined);
  },
);

test.skipIf(python === null)("Task Scheduler: the file is valid XML for any options", () => {
  const xml =
    planService(
      serviceRequest({ command: ["C:\\a&b\\agent-runner.exe", "--tags", "<a>"], home: "C:\\Users\\a" }),
      "win32",
    ).files[0]?.content ?? "";
  const arguments_ = askPython(
    "import sys, xml.dom.minidom as m; " +
      "print(m.parse(sys.stdin.buffer).getElementsByTagName('Arguments')[0].firstChild.data)",
    xml,
  );
  expect(arguments_.trim()).toBe("--tags <a>");
});

test("Task Scheduler: quotes arguments as Windows programs split them", () => {
  const xml =
    planService(
      serviceRequest({
        command: ["C:\\agent-runner.exe", "--project-dir", "C:\\my folder\\", "--tags", 'a"b'],
        home: "C:\\Users\\a",
      }),
      "win32",
    ).files[0]?.content ?? "";
  expect(xml).toContain(
    "<Arguments>--project-dir &quot;C:\\my folder\\\\&quot; --tags &quot;a\\&quot;b&quot;</Arguments>",
  );
});

/** The output of a Python program with `text` as input. */
function askPython(program: string, text: string): string {
  const { success, stdout, stderr } = Bun.spawnSync([python ?? "", "-c", program], { stdin: Buffer.from(text) });
  if (!success) throw new Error(stderr.toString());
  return stdout.toString();
}

test("planService: an unknown platform is a UserError", () => {
  expect(() => planService(serviceRequest(), "freebsd")).toThrow(UserError);
});
