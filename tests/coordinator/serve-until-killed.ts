import { startCoordinator } from "../../src/coordinator/coordinator.ts";
import { silentLog } from "../../src/log.ts";

/** Runs a coordinator on the database in argv; prints its URL and waits for a kill. */
const databasePath = process.argv[2];
if (databasePath === undefined) throw new Error("usage: serve-until-killed.ts <database>");
const coordinator = await startCoordinator({ host: "127.0.0.1", port: 0, databasePath, log: silentLog });
process.stdout.write(`${coordinator.url}\n`);
