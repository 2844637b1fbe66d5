/**
 * Made-up texts in several scripts, from vocabulary that is escaped for SQL once, so that a million texts cost no
 * more than joining strings.
 * @module
 */
import { escape } from "mysql2";
import type { Random } from "./random.ts";

/** A text as it is, and as the inside of a quoted SQL literal. */
export type Text = { raw: string; sql: string };

const OPENINGS = [
  "I tried this yesterday and",
  "After the last update",
  "As far as I can tell",
  "In my experience",
  "Somebody asked about it before:",
  "For what it is worth,",
  "On the train this morning",
  "Wie schon gesagt:",
  "Después de leerlo dos veces,",
  "제가 해 보니",
  "어제 저녁에 보니까",
  "혹시 모르니까 말씀드리면",
  "昨日試したところ、",
  "正直に言うと、",
];

const SUBJECTS = [
  "the second chapter",
  "our small experiment",
  "that old camera",
  "the query with the long name",
  "`SELECT 'it''s fine'`",
  "C:\\maps\\new",
  "<script>alert(1)</script>",
  'the word "finished"',
  "die Straße am Fluss",
  "el mercado del sábado",
  "이 설정",
  "새로 나온 판",
  "저녁 산책길",
  "この設定",
  "駅前の店",
  "100 % of it",
];

const ENDINGS = [
  "works better than I expected.",
  "was slower than before, but only a little.",
  "is worth a second look!",
  "took us the whole weekend 😅",
  "makes no difference at all.",
  "deserves its own thread. 👍",
  "hat mich überrascht.",
  "¡funciona sin problemas!",
  "생각보다 괜찮았어요.",
  "한 번 더 확인해 주실 수 있나요?",
  "정말 마음에 들어요 🎉",
  "思ったより簡単でした。",
  "また報告します。",
  "does anybody know more?",
];

const NAMES = [
  "Mina",
  "José",
  "Søren",
  "Zoë",
  "Tobias",
  "Priya",
  "Łukasz",
  "Nadia",
  "하늘",
  "서준",
  "지우",
  "예린",
  "あかり",
  "はると",
  "小雨",
  "Ольга",
  "Δάφνη",
  "Amir",
];

const VOCABULARY_SIZE = 4_096;
const TITLE_MAX_CHARACTERS = 120;

export type Texts = {
  /** One line of 1 to 120 characters. */
  title: () => Text;
  /** A few paragraphs; mostly short, some very long (about 4,000 characters). */
  post: () => Text;
  /** As the inside of a quoted SQL literal: mostly one or two sentences, some up to a dozen. */
  comment: () => string;
  /** A name of 2 to 6 letters. */
  name: () => string;
};

/** What is written depends on `random` alone. */
export function createTexts(random: Random): Texts {
  const sentences = Array.from({ length: VOCABULARY_SIZE }, () =>
    toText(`${random.pick(OPENINGS)} ${random.pick(SUBJECTS)} ${random.pick(ENDINGS)}`),
  );
  const titles = sentences.map(({ raw }) =>
    toText(Array.from(raw).slice(0, TITLE_MAX_CHARACTERS).join("").trim()),
  );
  return {
    title: () => random.pick(titles),
    post: () => {
      const count = 2 + Math.floor(random.next() ** 6 * 50);
      const parts: Text[] = [];
      for (let index = 0; index < count; index += 1) parts.push(random.pick(sentences));
      return {
        raw: joinParagraphs(
          parts.map(({ raw }) => raw),
          "\n\n",
        ),
        sql: joinParagraphs(
          parts.map(({ sql }) => sql),
          "\\n\\n",
        ),
      };
    },
    comment: () => {
      const count = 1 + Math.floor(random.next() ** 6 * 12);
      let text = random.pick(sentences).sql;
      for (let index = 1; index < count; index += 1) text += ` ${random.pick(sentences).sql}`;
      return text;
    },
    name: () => random.pick(NAMES),
  };
}

/** The inside of the SQL literal of `text`. */
export function sqlInside(text: string): string {
  return escape(text).slice(1, -1);
}

function toText(raw: string): Text {
  return { raw, sql: sqlInside(raw) };
}

/** Three sentences to a paragraph. */
function joinParagraphs(sentences: readonly string[], gap: string): string {
  let text = sentences[0] ?? "";
  for (let index = 1; index < sentences.length; index += 1) {
    text += (index % 3 === 0 ? gap : " ") + (sentences[index] ?? "");
  }
  return text;
}
