// What the parts of the chat's page ask for, for the checker and for people: no browser loads this file.
import type { Later } from '../static/js/ui/later.js';
import type { mountAttach } from '../static/js/ui/attach.js';
import type { Member, Message } from './protocol.d.ts';
import type { Pending } from './state.d.ts';

type Menus = Later<typeof import('../static/js/ui/menus.js')>;
export type Attach = ReturnType<typeof mountAttach>;

/** What the conversation asks for. */
export type Timeline = {
  pending: (room: string) => Pending[];
  /** Loads a page of history; how many messages came. */
  older: (room: string) => Promise<number>;
  /** The newest message is on the screen. */
  read: () => void;
  edit: (m: Message) => void;
  reply: (m: Message) => void;
  remove: (m: Message) => void;
  react: (m: Message, emoji: string, add: boolean) => void;
  retry: (id: string) => void;
  discard: (id: string) => void;
  menus: Menus;
};

/** What the place for writing asks for. */
export type Composer = {
  /** Why not, in words; empty when it is queued. */
  send: (body: string, reply_to: string, uploads: string[]) => string;
  edit: (m: Message, body: string) => Promise<string>;
  lastOwn: () => Message | undefined;
  typing: () => void;
  /** Esc with nothing to cancel. */
  idle: () => void;
  join: () => void;
  acts: Later<{ files: Attach }>;
};

/** What the list of members asks for; promises resolve to '' or to why not, in words. */
export type Members = {
  invite: (username: string) => Promise<string>;
  change: (m: Member, change: { role?: string; muted_until?: string }) => void;
  expel: (m: Member, way: 'remove' | 'ban' | 'leave') => void;
  direct: (username: string) => void;
  menus: Menus;
};
