// The connection as others see it, for the checker and for people: no browser loads this file.
import type { Frame, Hello } from './protocol.d.ts';

export type State = {
  name: 'connecting' | 'resuming' | 'live' | 'waiting' | 'offline' | 'stopped' | 'signed-out';
  /** Why, for a person. */
  words: string;
  /** For waiting: when the next dial is, ms since 1970. */
  at: number;
};

/** What the inspector shows: never content. */
export type Traffic = { out: boolean; type: string; bytes: number; note?: string; bad?: boolean };

export type Options = {
  url: string;
  /** A fresh one for every dial. */
  ticket: () => Promise<string>;
  /** Catches up after hello; the link is live when it is done. */
  resume: (hello: Hello) => Promise<void>;
  /** Events; answers go to whoever asked. */
  onFrame: (frame: Frame) => void;
  onState: (state: State) => void;
  onTraffic: (t: Traffic) => void;
  WebSocket?: typeof WebSocket;
  online?: () => boolean;
};

/** How frames are written on one link. */
export type Writing = {
  protocol: string;
  write: (id: string, type: string, data: Record<string, unknown>) => string | Uint8Array<ArrayBuffer>;
  read: (data: unknown) => Frame | null;
};
