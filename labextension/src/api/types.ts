// Made by `make types` of nosana_jupyter/board and nosana_jupyter/server: change those.

export type Value = boolean | number | string;

export type State = 'detached' | 'ended' | 'preparing' | 'running' | 'starting' | 'waiting';

export type End = '' | 'broken' | 'done' | 'failed' | 'interrupted';

export type Message = Snapshot | Changed | Gone | Stale;

/** What a host's card did at a moment, as its runner says. */
export interface Sample {
  /** Unix time, on this machine's clock. */
  readonly at: number;
  /** Memory of the card that is in use; of the machine, where it has no card. */
  readonly used: number | null;
  readonly total: number | null;
  /** How busy the card is, in percent; the processor, where there is no card. */
  readonly busy: number | null;
  /** Whether it is a card that was looked at. */
  readonly card: boolean;
}

/** A cell that is under way, or has just ended. */
export interface Live {
  /** Its id, which no other has: hexadecimal. */
  readonly cell: string;
  /** Address of the job it runs in, as soon as there is one. */
  readonly job: string;
  /** Name of the session it runs in, if that goes on after it. */
  readonly session: string;
  readonly network: string;
  /** First line of the cell. */
  readonly title: string;
  /** Path of its notebook, as the Jupyter server told the kernel. */
  readonly notebook: string;
  /** Id of its Jupyter kernel. */
  readonly kernel: string;
  /** Process that follows it, as `money.journal.owner_of` spells it. */
  readonly owner: string;
  /** Where that process is, as `money.journal.here` spells it. */
  readonly place: string;
  readonly state: State;
  readonly end: End;
  /** What is waited for or how it went, in words. */
  readonly text: string;
  /** How much of what is waited for is done, from 0 to 1, where that is known. */
  readonly share: number | null;
  /** Unix time at which it entered this state. */
  readonly since: number;
  readonly created: number;
  readonly updated: number;
  /** Unix time from which its host is paid for it. */
  readonly began: number | null;
  readonly ended: number | null;
  /** Slug of the market. */
  readonly market: string;
  readonly gpu: string;
  /** Address of the host. */
  readonly node: string;
  /** The host in words. */
  readonly host: string;
  /** Of a second. */
  readonly price: number;
  /** The most it can cost with the network's fee. */
  readonly most: number;
  readonly timeout: number;
  readonly usd_per_nos: number | null;
  /** Whether credits pay, and prices are in micro-dollars. */
  readonly credits: boolean;
  /** What it has cost once it is over, in words. */
  readonly cost: string;
  /** The end of what it has said: plain text. */
  readonly log: string;
  /** Lines that it has said in all. */
  readonly lines: number;
  /** Oldest first. */
  readonly samples: readonly Sample[];
  /** Most memory of the card that was in use while it ran. */
  readonly peak: number | null;
}

/**
 * What a notebook keeps of a cell: `application/vnd.nosana.job+json`, as its front end draws it.
 *
 * A notebook that was saved has all of it, without a kernel or a server. While the cell is under
 * way it is drawn anew every second, and the log and the ticking cost are those of `Live`, found
 * by `cell`. What stands here may come with a notebook of a stranger's: it is text to show, and
 * whoever acts by it asks the server, which knows its own.
 */
export interface JobCard {
  readonly version: 1;
  /** As in `Live`, if it is on the board: what is over at once never is. */
  readonly cell: string;
  readonly job: string;
  readonly session: string;
  /** Empty as long as it is not known. */
  readonly network: string;
  /** First line of the cell. */
  readonly title: string;
  readonly state: State;
  readonly end: End;
  /** The whole state as one line: what a front end shows that knows nothing else. */
  readonly text: string;
  /** What is waited for, alone: `pulling the image: 28 %, 340.0 MB of 1.2 GB`. */
  readonly doing: string;
  /** How much of that is done, from 0 to 1, where it is known. */
  readonly share: number | null;
  readonly market: string;
  readonly gpu: string;
  readonly node: string;
  /** The host in words. */
  readonly host: string;
  /** Unix time at which it entered this state. */
  readonly since: number;
  /** Unix time from which its host is paid for it. */
  readonly began: number | null;
  readonly ended: number | null;
  /** Micro-NOS of a second; micro-dollars where credits pay. */
  readonly price: number;
  /** The most it can cost, with the network's fee. */
  readonly most: number;
  readonly timeout: number;
  readonly usd_per_nos: number | null;
  readonly credits: boolean;
  /** What it has cost, with the fee, once it is settled; its share, in a session. */
  readonly paid: number | null;
  /** The same in words, or where the money is. */
  readonly cost: string;
  /** Labels and texts, in the order they are shown, once the job is settled. */
  readonly receipt: readonly (readonly [string, string])[];
  /** What a comparison with other hosts has found, as in `bit-equal on 2 hosts`. */
  readonly verified: string;
  /** Oldest first, at most 60; the last one is the newest. */
  readonly samples: readonly Sample[];
  /** Most memory of the card that was in use while it ran, in GiB. */
  readonly peak: number | null;
  /** Lines that it has said in all. */
  readonly lines: number;
}

/** Why there is no other answer; goes with a status of 400 and above. */
export interface Problem {
  readonly message: string;
  readonly hint: string;
  /** Where the money is, if any has moved. */
  readonly money: string;
  /**
   * Name of the error: `FundsError`. `NotAgreed`: real money would be spent, and `message` is what
   * to ask the user; the same request with `agreed` is their yes.
   */
  readonly kind: string;
}

/** A budget that is set. */
export interface Budget {
  readonly name: 'day' | 'month' | 'notebook' | 'session';
  /** As it was set: `5 NOS`, `$2`. */
  readonly limit: string;
  readonly used: string;
  readonly left: string;
  /** Part of it that is used, from 0 to 1. */
  readonly share: number;
}

/** `GET wallet?folder=&notebook=`, `POST wallet/fund`, `POST network/start`: who pays. */
export interface Wallet {
  /** `local`, `devnet`, `mainnet` or a name of the user's. */
  readonly network: string;
  /** Whether it runs on this machine, with play money. */
  readonly local: boolean;
  /** Whether it answers. */
  readonly up: boolean;
  /** Empty: there is no wallet yet. */
  readonly address: string;
  readonly nos: number;
  /** Lamports. */
  readonly sol: number;
  /** What the NOS are worth, in micro-dollars; nothing where no rate is known. */
  readonly nos_usd: number | null;
  /** What the SOL is worth, in micro-dollars; nothing where nobody says. */
  readonly sol_usd: number | null;
  /** Dollars per NOS. */
  readonly rate: number | null;
  /** Age of the rate, in seconds. */
  readonly rate_age: number | null;
  readonly rate_sources: readonly string[];
  /** Free credits in micro-dollars, where credits pay. */
  readonly credits: number | null;
  /** Spent since midnight, with what open jobs may still take. */
  readonly today: number;
  readonly month: number;
  readonly budgets: readonly Budget[];
  /** Most that one cell may cost, as it was set: `$5`. Empty: anything. */
  readonly each_cell: string;
  /** Whether `POST wallet/fund` gives play money. */
  readonly can_fund: boolean;
  /** Modules of a QR code of the address, a line of `0` and `1` per row. */
  readonly qr: string;
  /** What keeps it from being known. */
  readonly problem: Problem | null;
}

/** A market, as far as one chooses by it. */
export interface Market {
  readonly address: string;
  readonly slug: string;
  readonly name: string;
  readonly gpu: string;
  readonly vram: number;
  /** Class of its cards, or else the kind of market: `high-end consumer`. */
  readonly tier: string;
  /** Hosts that wait for a job now. */
  readonly hosts: number;
  /** Jobs that wait for a host now. */
  readonly jobs: number;
  /** Micro-NOS of a second. */
  readonly price: number;
  /** Micro-NOS of an hour, with the network's fee. */
  readonly hour: number;
  readonly hour_usd: number | null;
  /** Whether it has the memory that was asked for. */
  readonly fits: boolean;
}

/** What a card of the kind costs at somebody else's. */
export interface Elsewhere {
  readonly provider: string;
  readonly card: string;
  readonly hour_usd: number;
  /** What it is the price of: `community`. */
  readonly terms: string;
  /** Day of the price, as in `2026-11-01`. */
  readonly date: string;
  readonly source: string;
}

/** Why a cell needs memory. */
export interface Reason {
  readonly what: string;
  readonly gib: number;
  readonly text: string;
  readonly source: string;
}

/** `POST needs` with `Ask`: what a cell needs, and where it could run. */
export interface Needs {
  readonly low: number;
  readonly high: number;
  /** What to ask a market for, in GiB. 0: no card is needed. */
  readonly need: number;
  readonly certain: boolean;
  readonly reasons: readonly Reason[];
  readonly notes: readonly string[];
  /** What stands on its magic line after `%%nosana`. */
  readonly options: string;
  /** Magic line that it has, if any. */
  readonly line: string;
}

/** `GET gpus?vram=16`: the markets, cheapest first, and what others ask for such cards. */
export interface Gpus {
  readonly markets: readonly Market[];
  readonly elsewhere: readonly Elsewhere[];
  readonly rate_age: number | null;
  readonly problem: Problem | null;
}

/** A job of the journal; with what the board says of it while it is under way. */
export interface Job {
  /** Its address; empty as long as there is none. */
  readonly job: string;
  /** Id of its cell on the board, if it is there. */
  readonly cell: string;
  /** `preparing`, `waiting`, `starting`, `running`, `detached`, `ended`; or the journal's. */
  readonly state: string;
  readonly text: string;
  /** First line of the cell. */
  readonly title: string;
  readonly network: string;
  readonly market: string;
  readonly gpu: string;
  readonly node: string;
  readonly notebook: string;
  readonly session: string;
  readonly created: number;
  readonly ended: number | null;
  readonly seconds: number | null;
  /** Micro-NOS, or micro-dollars where credits pay, with fees; of a job that is settled. */
  readonly paid: number | null;
  readonly refunded: number | null;
  readonly paid_usd: number | null;
  readonly credits: boolean;
  /** Whether money of it may be in a vault. */
  readonly open: boolean;
  /** Whether a living process follows it. */
  readonly followed: boolean;
  readonly stoppable: boolean;
  readonly extendable: boolean;
  /** Whether `%nosana attach` shows what it says. */
  readonly attachable: boolean;
  /** The whole cell, where it is known: only of `GET jobs/JOB`. */
  readonly source: string;
  /** Labels and texts: only of `GET jobs/JOB`. */
  readonly receipt: Readonly<Record<string, string>>;
  readonly verified: string;
  readonly live: Live | null;
}

/** `GET jobs?q=TEXT&offset=0&limit=50`: what is under way, and a page of what is over. */
export interface Jobs {
  readonly running: readonly Job[];
  readonly over: readonly Job[];
  /** How many are over, and match. */
  readonly total: number;
}

/** `POST jobs/JOB/stop` with `Stop`; a job without an address is named by its cell. */
export interface Stopped {
  /** Its cell was interrupted as by the stop button, or the job is at its end and settled. */
  readonly how: 'ended' | 'interrupted';
  readonly text: string;
}

/** `POST jobs/JOB/extend` with `More`. */
export interface Extended {
  readonly timeout: number;
  readonly text: string;
}

/** `POST sweep`: what was settled that nobody followed any more. */
export interface Swept {
  /** Jobs that were closed. */
  readonly settled: number;
  readonly text: string;
}

/** A value that a template asks for. */
export interface Parameter {
  readonly name: string;
  readonly type: 'bool' | 'float' | 'int' | 'text';
  readonly default: Value;
  readonly help: string;
  readonly choices: readonly Value[];
  readonly min: number | null;
  readonly max: number | null;
}

/** A template of the gallery: `GET templates/NAME?folder=`, and `POST templates` with `Save`. */
export interface Template {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly kind: 'cell' | 'definition' | 'notebook';
  readonly author: string;
  readonly tags: readonly string[];
  readonly vram: number;
  /** Where it stands: `project`, `user` or `built in`. */
  readonly shelf: string;
  readonly tested: string;
  /** Address of the wallet that signed it, where that was checked; `broken` where it is wrong. */
  readonly signed: string;
  /** Whether somebody else made it: its code is to be read before it is used. */
  readonly foreign: boolean;
  readonly parameters: readonly Parameter[];
  /** What would be inserted with the defaults: only of `GET templates/NAME`. */
  readonly code: string;
}

/** `GET templates?folder=`; `POST templates/import` with `Import`: those that were brought. */
export interface Templates {
  readonly templates: readonly Template[];
  /** Templates that cannot be read, and why. */
  readonly problems: readonly string[];
}

/** `POST templates/NAME/fill` with `Fill`. */
export interface Filled {
  /** Cells to insert, top to bottom. */
  readonly cells: readonly string[];
  /** Notebook that was made, for `Fill.open`. */
  readonly path: string;
}

/** `POST templates/NAME/share`. */
export interface Shared {
  readonly cid: string;
  /** Address from which others import it. */
  readonly address: string;
  readonly command: string;
}

/** First message of the event stream, and again whenever much has changed. */
export interface Snapshot {
  readonly type: 'snapshot';
  /** What is under way. */
  readonly jobs: readonly Job[];
  /** Micro-NOS that running jobs cost per hour. */
  readonly per_hour: number;
  readonly network: string;
  readonly local: boolean;
  readonly up: boolean;
}

/** A job under way has changed, or is new. */
export interface Changed {
  readonly type: 'changed';
  readonly job: Job;
  readonly per_hour: number;
}

/**
 * A job is over: what there is of it now stands in the history.
 *
 * `job` and `cell` are as they were told last: of a session several cells have the same job.
 */
export interface Gone {
  readonly type: 'gone';
  readonly job: string;
  readonly cell: string;
  readonly per_hour: number;
}

/** What was asked earlier is to be asked again. */
export interface Stale {
  readonly type: 'stale';
  readonly what: readonly ('gpus' | 'jobs' | 'templates' | 'wallet')[];
}

/** Of `POST needs`. */
export interface Ask {
  readonly code: string;
}

/** Of `POST wallet/fund`: play money, in micro-NOS. */
export interface Fund {
  readonly nos?: number;
}

/** Of `POST jobs/JOB/stop`. */
export interface Stop {
  /** End its job on chain, in place of interrupting the cell. */
  readonly end?: boolean;
}

/** Of `POST jobs/JOB/extend`. */
export interface More {
  readonly seconds: number;
  /** The user was asked, as a `Problem` of kind `NotAgreed` says. */
  readonly agreed?: boolean;
}

/** Of `POST templates/NAME/fill`. */
export interface Fill {
  readonly values?: Readonly<Record<string, Value>>;
  /** Write it as a notebook in `folder`, in place of returning its cells. */
  readonly open?: boolean;
  /** Folder below the server's root. */
  readonly folder?: string;
}

/** Of `POST templates`: the selected cell becomes a template. */
export interface Save {
  readonly name: string;
  readonly title: string;
  readonly code: string;
  readonly description?: string;
  /** Into the project's folder, in place of the user's. */
  readonly project?: boolean;
  readonly folder?: string;
}

/** Of `POST templates/import`: an address, a content id or a path. */
export interface Import {
  readonly source: string;
  readonly name?: string;
}
