// @ts-check
/** The reactions that the server takes, in the order of the picker. A fixed list: a reaction cannot be a hidden message. */
export const EMOJI = Object.freeze(['👍', '👎', '❤️', '😂', '😮', '😢', '🎉', '🙏', '👀', '✅', '❌', '🔥', '🚀', '💡', '❓', '❗', '👏', '🤔', '😄', '☕', '⚓', '🛟', '🧭', '🔒']);

/** What a reaction is called, for people who cannot see it and for fonts that do not have it. */
export const NAMES = Object.freeze(['thumbs up', 'thumbs down', 'heart', 'laughing', 'surprised', 'sad', 'party', 'thanks', 'eyes', 'done', 'no', 'fire', 'rocket', 'idea', 'question', 'important', 'applause', 'thinking', 'smile', 'coffee', 'anchor', 'lifebuoy', 'compass', 'lock']);

/** @param {string} emoji */
export const nameOf = (emoji) => NAMES[EMOJI.indexOf(emoji)] ?? emoji;
