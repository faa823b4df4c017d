import {
  type Database,
  ENDED,
  type Faults,
  type Memory,
  type Message,
  type Outcome,
  type Runner,
  type RunnerIndex,
  RUNNERS,
  type World,
} from "./world.ts";

/** One thing that may happen next. `isFault`: only by bad luck, never needed for the run to come to its end. */
export interface Step {
  readonly name: string;
  readonly isFault: boolean;
  readonly next: World;
}

/** Everything that may happen in this world. */
export function stepsFrom(world: World): Step[] {
  return [
    ...world.messages.flatMap((message, index) => messageSteps(world, message, index)),
    ...RUNNERS.flatMap((index) => runnerSteps(world, index)),
    ...coordinatorSteps(world),
  ];
}

// The runner

function runnerSteps(world: World, index: RunnerIndex): Step[] {
  const runner = world.runners[index];
  const steps: Step[] = [];
  const step = (name: string, change: Partial<Runner>, ...sent: Message[]): void => {
    steps.push({
      name: `runner ${index} ${name}`,
      isFault: false,
      next: send(withRunner(world, index, change), ...sent),
    });
  };
  if (runner.executor === "alive") {
    const next = withRunner(world, index, { executor: "ended" });
    steps.push({ name: `executor of runner ${index} ends`, isFault: false, next: { ...next, wasExecuted: true } });
  }
  if (!runner.isUp) {
    steps.push({ name: `runner ${index} starts`, isFault: false, next: started(world, index) });
    return [...steps, ...faultsOfRunner(world, index)];
  }
  const { instance, memory, epoch } = runner;
  if (memory === "taken" && !runner.isToStop) {
    // The journal knows before the report `started` leaves.
    step("reports started", { memory: "asked", journal: "begun" }, { kind: "started", from: index, instance });
  }
  if ((memory === "taken" || memory === "asked") && runner.isToStop)
    step("drops a run before its start", ends("stopped"));
  if (memory === "executing" && runner.executor === "ended") step("sees the end", ends("completed"));
  if (memory === "executing" && runner.executor === "alive" && runner.isToStop)
    step("ends its executor", { ...ends("stopped"), executor: "ended" });
  if (memory === "asked") step("repeats started", {}, { kind: "started", from: index, instance });
  if (memory === "reporting" && runner.outcome !== null)
    step("reports", {}, { kind: "report", from: index, instance, outcome: runner.outcome });
  step("says what it holds", {}, { kind: "held", from: index, instance, memory, epoch });
  return [...steps, ...faultsOfRunner(world, index)];
}

function ends(outcome: Outcome): Partial<Runner> {
  return { memory: "reporting", outcome, journal: outcome };
}

/** A new process: it reads the journal, adopts the executor, and registers. */
function started(world: World, index: RunnerIndex): World {
  const { journal, executor, instance } = world.runners[index];
  const adopted: Partial<Runner> =
    journal === "begun"
      ? executor === "none"
        ? // Its executor has certainly not begun: the claim is given up, and the coordinator says what becomes of it.
          { memory: "nothing", journal: "nothing" }
        : { memory: "executing" }
      : journal === "nothing"
        ? { memory: "nothing" }
        : { memory: "reporting", outcome: journal };
  const own = { isUp: true, instance: instance + 1, isToStop: false, epoch: world.database.epoch, ...adopted };
  return registered(withRunner(world, index, own), index, instance + 1);
}

function registered(world: World, index: RunnerIndex, instance: number): World {
  return { ...world, database: { ...world.database, instances: withIndex(world.database.instances, index, instance) } };
}

function faultsOfRunner(world: World, index: RunnerIndex): Step[] {
  const runner = world.runners[index];
  const steps: Step[] = [];
  const nothing = { isUp: false, memory: "nothing", outcome: null, isToStop: false } as const;
  if (runner.isUp && world.faults.kill > 0)
    steps.push(fault(world, "kill", `runner ${index} is killed`, withRunner(world, index, nothing)));
  if (world.faults.wipe > 0) {
    const wiped = { ...nothing, journal: "nothing", executor: "none" } as const;
    steps.push(fault(world, "wipe", `runner ${index} loses its machine`, withRunner(world, index, wiped)));
  }
  return steps;
}

// The coordinator

function coordinatorSteps(world: World): Step[] {
  const { database, backup, faults } = world;
  const steps: Step[] = [];
  if (database.status === "pending" && database.awaited.length === 0) {
    for (const index of RUNNERS.filter((each) => world.runners[each].isUp)) {
      const { instance } = world.runners[index];
      if (database.instances[index] !== instance) continue;
      const claimed: Database = { ...database, status: "claimed", owner: index, isStarted: false };
      const message: Message = { kind: "run", to: index, instance };
      const next = send({ ...world, database: claimed }, message);
      steps.push({ name: `runner ${index} polls and claims`, isFault: false, next });
    }
  }
  if (database.status === "stopping" && database.owner !== null) {
    const { instance } = world.runners[database.owner];
    const message: Message = { kind: "stop", to: database.owner, instance };
    steps.push({ name: "the stop is handed out", isFault: false, next: send(world, message) });
  }
  if (database.status === "claimed" && faults.lease > 0)
    steps.push(fault(world, "lease", "the lease runs out", { ...world, database: released(database) }));
  const canBeGivenUp = database.owner !== null && (database.status === "running" || database.status === "stopping");
  if (canBeGivenUp && faults.giveUp > 0)
    steps.push(fault(world, "giveUp", "the runner is given up", { ...world, database: ended(database, "lost") }));
  if (faults.stop > 0 && !ENDED.includes(database.status) && database.status !== "stopping") {
    const stopped =
      database.status === "pending" ? ended(database, "stopped") : { ...database, status: "stopping" as const };
    steps.push(fault(world, "stop", "somebody stops the run", { ...world, database: stopped }));
  }
  if (backup === null && faults.restore > 0)
    steps.push({ name: "a backup is made", isFault: true, next: { ...world, backup: database } });
  if (backup !== null && faults.restore > 0 && backup !== database) {
    // Polls that wait are cut off with the process that had them. A coordinator that starts gives no run out until the
    // runners that it knows have said what they hold and what they did. A claim of the backup may have been another
    // runner's since: it is nobody's until all have spoken.
    const claimless = backup.status === "claimed" ? released(backup) : backup;
    const begun = { ...claimless, epoch: backup.epoch + 1, awaited: RUNNERS };
    // The answers of the process that ended do not outlive its connections.
    const messages = world.messages.filter((message) => message.kind !== "start-answer" && message.kind !== "run");
    const restored = { ...world, messages, database: begun, backup: null, wasRestored: true };
    steps.push(fault(world, "restore", "the backup is restored", restored));
  }
  return steps;
}

// Messages

function messageSteps(world: World, message: Message, index: number): Step[] {
  const rest = { ...world, messages: world.messages.toSpliced(index, 1) };
  const name = `${message.kind} ${"to" in message ? `to runner ${message.to}` : `from runner ${message.from}`}`;
  const steps: Step[] = [{ name: `${name} arrives`, isFault: false, next: deliver(rest, message) }];
  if (world.faults.lose > 0) steps.push(fault(world, "lose", `${name} is lost`, rest));
  if (world.faults.repeat > 0)
    steps.push(fault(world, "repeat", `${name} arrives and comes again`, deliver(world, message)));
  return steps;
}

function deliver(world: World, message: Message): World {
  return "to" in message ? toRunner(world, message) : toCoordinator(world, message);
}

function toRunner(world: World, message: Message & { to: RunnerIndex }): World {
  const index = message.to;
  const runner = world.runners[index];
  // An answer finds only the process that asked.
  if (!runner.isUp || runner.instance !== message.instance) return world;
  const change = (changed: Partial<Runner>, ...sent: Message[]): World =>
    send(withRunner(world, index, changed), ...sent);
  switch (message.kind) {
    case "run":
      // A run that is done in the journal is answered with its outcome; any other that is known is executed once.
      if (runner.memory === "done") return change({ memory: "reporting" });
      return runner.memory === "nothing" ? change({ memory: "taken" }) : change({});
    case "start-answer":
      if (runner.memory !== "asked") return change({});
      if (!message.isOwn) return change({ memory: "nothing", journal: "nothing" });
      return { ...change({ memory: "executing", executor: "alive" }), spawns: world.spawns + 1 };
    case "report-answer":
      return change(runner.memory === "reporting" ? { memory: "done" } : {});
    case "stop":
      return change({ isToStop: isOpen(runner.memory) });
    case "view":
      return change(...byView(runner, index, message));
    default:
      return change({});
  }
}

function isOpen(memory: Memory): boolean {
  return memory === "taken" || memory === "asked" || memory === "executing";
}

/** Reconciliation, the runner's side: what it does about the coordinator's word on the run. */
function byView(
  runner: Runner,
  index: RunnerIndex,
  { status, isAsked, epoch }: Message & { kind: "view" },
): [Partial<Runner>, ...Message[]] {
  const [change, ...sent] = byStatus(runner, index, status, isAsked);
  return [{ epoch, ...change }, ...sent];
}

function byStatus(
  runner: Runner,
  index: RunnerIndex,
  status: (Message & { kind: "view" })["status"],
  isAsked: boolean,
): [Partial<Runner>, ...Message[]] {
  const isNotOurs = status === "not-yours" || ENDED.some((each) => each === status);
  if (isOpen(runner.memory)) return [isNotOurs ? { isToStop: true } : {}];
  const isExpected = status === "claimed" || status === "running" || status === "stopping" || isAsked;
  if (runner.memory === "done" && isExpected) return [{ memory: "reporting" }];
  if (runner.memory !== "nothing") return [{}];
  if (status === "claimed") return [{ memory: "taken" }];
  const isUnknown = status === "running" || status === "stopping";
  return isUnknown ? [{}, { kind: "unknown", from: index, instance: runner.instance }] : [{}];
}

function toCoordinator(world: World, message: Message & { from: RunnerIndex }): World {
  const { from, instance } = message;
  const known = world.database.instances[from] ?? 0;
  // Another instance has taken the identity over: the caller is told so and ends its executors by itself.
  if (known > instance) return world;
  // A restored database knows an earlier instance: the caller registers again.
  if (known < instance)
    return message.kind === "held" ? toCoordinator(registered(world, from, instance), message) : world;
  const { database } = world;
  const isOwn = database.owner === from;
  const answer = (changed: Database, sent: Message): World => send({ ...world, database: changed }, sent);
  switch (message.kind) {
    case "started": {
      // Refused for now: the runner repeats it.
      if (database.awaited.length > 0 && !database.isStarted) return world;
      const isAccepted =
        isOwn && (database.status === "claimed" || database.status === "running" || database.status === "stopping");
      const isNews = isAccepted && !database.isStarted;
      const status = database.status === "claimed" ? "running" : database.status;
      const changed = isNews ? { ...database, status, isStarted: true } : database;
      return answer(changed, { kind: "start-answer", to: from, instance, isOwn: isAccepted });
    }
    case "report": {
      const changed = isOwn || mayBeAdopted(world) ? ended({ ...database, owner: from }, message.outcome) : database;
      return answer(changed, { kind: "report-answer", to: from, instance });
    }
    case "unknown": {
      const isLost = isOwn && (database.status === "running" || database.status === "stopping");
      return isLost ? { ...world, database: ended(database, "lost") } : world;
    }
    case "held":
      return reconciled(world, message);
    default:
      return world;
  }
}

/** After a restore a pending run may have been done already: a runner that has it, or its outcome, is believed. */
function mayBeAdopted({ database, wasRestored }: World): boolean {
  return database.status === "pending" && wasRestored;
}

/** Reconciliation, the coordinator's side: it answers what it knows of the run. */
function reconciled(world: World, { from, instance, memory, epoch }: Message & { kind: "held" }): World {
  let { database } = world;
  // Said before the restore: the answer tells the epoch, and the runner says again what it holds.
  const isLate = epoch !== database.epoch;
  const holds = isOpen(memory);
  // While others may have more to say, only an executor counts.
  if ((memory === "executing" || (holds && database.awaited.length === 0)) && mayBeAdopted(world)) {
    const isStarted = memory === "executing";
    database = { ...database, owner: from, isStarted, status: isStarted ? "running" : "claimed" };
  }
  const isAsked = database.awaited.includes(from) && database.status === "pending";
  // A claim that waits for the others is kept.
  const isKept = mayBeAdopted({ ...world, database }) && (memory === "taken" || memory === "asked");
  const status = database.owner === from ? database.status : holds && !isKept ? "not-yours" : "nothing";
  // Its outcome, if it has one, arrives before it says again what it holds: only then is it awaited no more.
  const isThrough = !isLate && ((memory !== "done" && memory !== "reporting") || !isAsked);
  if (isThrough && database.awaited.includes(from))
    database = { ...database, awaited: database.awaited.filter((each) => each !== from) };
  return send({ ...world, database }, { kind: "view", to: from, instance, status, isAsked, epoch: database.epoch });
}

function ended(database: Database, status: Outcome | "lost"): Database {
  return ENDED.includes(database.status) ? database : { ...database, status };
}

function released(database: Database): Database {
  return { ...database, status: "pending", owner: null, isStarted: false };
}

function withRunner(world: World, index: RunnerIndex, change: Partial<Runner>): World {
  return {
    ...world,
    runners: withIndex(world.runners, index, { ...world.runners[index], ...change }),
  };
}

function withIndex<List extends readonly unknown[]>(list: List, index: number, value: List[number]): List {
  return list.map((each, at) => (at === index ? value : each)) as unknown as List;
}

/** A message that is on its way already is not sent a second time: that keeps the worlds finite. */
function send(world: World, ...messages: Message[]): World {
  const fresh = messages.filter((message) => !world.messages.some((each) => Bun.deepEquals(each, message)));
  return fresh.length === 0 ? world : { ...world, messages: [...world.messages, ...fresh] };
}

function fault(world: World, kind: keyof Faults, name: string, next: World): Step {
  return { name, isFault: true, next: { ...next, faults: { ...next.faults, [kind]: world.faults[kind] - 1 } } };
}
