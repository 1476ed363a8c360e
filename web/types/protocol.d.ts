// The shapes of what arrives, for the checker and for people: no browser loads this file.
// frames.js reads frames into them, or refuses.

export type Person = { id: string; username: string; display_name: string };
export type Reaction = { emoji: string; users: string[] };
/** width 0: not a picture. */
export type Upload = { id: string; name: string; mime: string; size: number; width: number; height: number };
export type Stored = { upload_id: string; size: number; status: string };
/** Absent times and ids are empty texts. */
export type Message = {
  id: string; seq: number; author: Person; body: string; created_at: string; client_id: string; reply_to: string;
  edited_at: string; deleted_at: string; reactions: Reaction[]; uploads: Upload[];
};
export type Room = { id: string; title: string; visibility: string; head_seq: number; read_seq: number; role: string; members: number; peer: Person | null };
export type Member = { user: Person; role: string; muted_until: string; online: boolean };

export type Ack = { message_id: string; seq: number; head_seq: number; role: string };
export type Hello = { conn_id: string; session_ends_at: string; user: Person; messages_per_minute: number; rooms_per_connection: number; ping_every_ms: number };
/** What takes the next seq of a room. A newer server may have more; this page treats them alike. */
export type ChangeType = 'message.new' | 'message.edited' | 'message.deleted' | 'reaction.changed';
export type Change = { type: ChangeType; room_id: string; seq: number; message: Message };
export type Frame = Change
  | { type: 'hello'; data: Hello }
  | { type: 'ack'; re: string; data: Ack }
  | { type: 'error'; re: string; code: string; retry_ms: number }
  | { type: 'member.changed'; room_id: string; user: Person; role: string; muted_until: string }
  | { type: 'room.changed'; room_id: string; title: string }
  | { type: 'room.removed'; room_id: string; reason: string }
  | { type: 'presence.changed'; room_id: string; user: Person; online: boolean }
  | { type: 'typing'; room_id: string; user: Person }
  | { type: 'read.marked'; room_id: string; seq: number }
  | { type: 'resync'; room_id: string; head_seq: number }
  | { type: 'notice'; slug: string }
  | { type: 'announcement'; seq: number; body: string; created_at: string };
