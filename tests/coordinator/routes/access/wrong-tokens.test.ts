import { expect, test } from "bun:test";
import { WrongTokens } from "../../../../src/coordinator/routes/access/wrong-tokens.ts";
import { type Log, silentLog } from "../../../../src/log.ts";
import { until } from "../../../harness/until.ts";

function logged(): { lines: string[]; log: Log } {
  const lines: string[] = [];
  return { lines, log: { ...silentLog, warn: (line) => void lines.push(line) } };
}

test("logs the first wrong token at once, and the number of the others later", async () => {
  const { lines, log } = logged();
  using wrong = new WrongTokens(log, 1, 50);
  for (let i = 0; i < 4; i++) await wrong.hold(`10.0.0.${i}`);
  expect(lines).toEqual(["Requests with a wrong token: 1, the last from 10.0.0.0"]);
  await until("the second line", () => lines.length === 2);
  expect(lines[1]).toBe("Requests with a wrong token: 3, the last from 10.0.0.3");
});

test("holds back all but the first five, and refuses more than 50 at a time", async () => {
  const { log } = logged();
  using wrong = new WrongTokens(log, 60_000, 60_000);
  let answered = 0;
  const calls = Array.from({ length: 60 }, async () => {
    await wrong.hold("::1");
    answered++;
  });
  const refused = (await Promise.allSettled(calls.slice(55))).map(({ status }) => status);
  expect(refused).toEqual(Array.from({ length: 5 }, () => "rejected"));
  expect(answered).toBe(5);
  wrong[Symbol.dispose]();
  await Promise.all(calls.slice(0, 55));
});
