// What the page keeps, for the checker and for people: no browser loads this file.

/** A message that the server has not confirmed, or whose message.new has not come. */
export type Pending = {
  /** UUIDv7, the same for every try, which is what makes a retry safe. */
  id: string;
  user: string;
  room: string;
  body: string;
  /** Empty: none. */
  reply_to: string;
  /** Ids of its files. */
  uploads: string[];
  /** When it was written, ms since 1970. */
  at: number;
  status: 'queued' | 'sending' | 'sent' | 'failed';
  /** Why it failed or waits, in words. */
  reason: string;
};

/** What the queue is kept in; all may fail, and then the queue lives in memory. */
export type Storage = {
  /** The user's; what belongs to others is deleted. */
  load: (user: string) => Promise<Pending[]>;
  put: (p: Pending) => Promise<void>;
  delete: (id: string) => Promise<void>;
  clear: () => Promise<void>;
};
