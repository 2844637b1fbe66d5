/**
 * What the demo forum consists of. Times are hours before the seeding, so that the forum looks lived in.
 * @module
 */

/** The password of every demo account but the admin's. */
export const DEMO_PASSWORD = "liveforum-demo";

export const DEMO_ADMIN = {
  email: "admin@liveforum.local",
  username: "admin",
  password: "liveforum-admin",
};

/** By order of joining; the address is `<key>@liveforum.local`. */
export const DEMO_USERS = {
  mina: "mina",
  haneul: "김하늘",
  tobias: "tobias",
  seojun: "이서준",
  jose: "José",
  akari: "あかり",
} as const;

export type DemoUser = keyof typeof DEMO_USERS | "admin";

/** In board order. */
export const DEMO_BOARDS = [
  { slug: "announcements", name: "Announcements", description: "News of the community" },
  { slug: "general", name: "General", description: "Everything that has no board of its own" },
  { slug: "help", name: "Questions and answers", description: "Ask. Somebody knows" },
  { slug: "hangul", name: "한국어", description: "한국어로 이야기하는 곳" },
] as const;

type DemoComment = {
  author: DemoUser;
  /** After the post was written. */
  afterHours: number;
  content: string;
  likedBy?: readonly DemoUser[];
};

export type DemoPost = {
  board: (typeof DEMO_BOARDS)[number]["slug"];
  author: DemoUser;
  hoursAgo: number;
  views: number;
  title: string;
  content: string;
  likedBy: readonly DemoUser[];
  comments: readonly DemoComment[];
};

/** Oldest first. */
export const DEMO_POSTS: readonly DemoPost[] = [
  {
    board: "announcements",
    author: "admin",
    hoursAgo: 330,
    views: 214,
    title: "Welcome to LiveForum",
    content:
      "This forum is a demonstration: everything in it was made when the local cloud started for the first time.\n\nSign in as mina@liveforum.local with the password liveforum-demo, or as admin@liveforum.local with liveforum-admin. The documentation of the API is at /api/docs.",
    likedBy: ["mina", "haneul", "tobias", "seojun", "jose", "akari"],
    comments: [
      { author: "mina", afterHours: 1, content: "Glad to be here!", likedBy: ["admin", "jose"] },
      { author: "haneul", afterHours: 3, content: "반갑습니다 👋", likedBy: ["seojun", "mina"] },
      { author: "tobias", afterHours: 30, content: "Is there a dark theme?" },
      { author: "admin", afterHours: 31, content: "LiveForum is the backend; the theme is up to you." },
    ],
  },
  {
    board: "announcements",
    author: "admin",
    hoursAgo: 300,
    views: 97,
    title: "House rules",
    content:
      "1. Be kind.\n2. Search before you ask.\n3. Quote what you answer.\n\nPosts that break a rule are deleted, not edited.",
    likedBy: ["mina", "tobias"],
    comments: [
      { author: "jose", afterHours: 5, content: "Short enough to be read. Thank you.", likedBy: ["admin"] },
    ],
  },
  {
    board: "general",
    author: "mina",
    hoursAgo: 260,
    views: 58,
    title: "What are you reading?",
    content:
      "I have just finished a book on the history of maps and would like to stay with the subject. What is on your table?",
    likedBy: ["haneul", "akari"],
    comments: [
      { author: "tobias", afterHours: 2, content: "The second half of something with 900 pages. Slowly." },
      { author: "akari", afterHours: 6, content: "短編集を少しずつ読んでいます。", likedBy: ["mina"] },
      {
        author: "seojun",
        afterHours: 20,
        content: "지도 책이라면 저도 추천 하나 드릴게요. 곧 글로 쓰겠습니다.",
      },
    ],
  },
  {
    board: "hangul",
    author: "haneul",
    hoursAgo: 220,
    views: 73,
    title: "한국어 게시판이 열렸습니다",
    content:
      "안녕하세요! 여기는 한국어로 편하게 이야기하는 게시판입니다.\n\n가입 인사, 질문, 소소한 일상 모두 환영합니다. 제목에 한글, 이모지 🎉, 영어를 섞어 써도 됩니다.",
    likedBy: ["seojun", "mina", "admin", "akari"],
    comments: [
      { author: "seojun", afterHours: 1, content: "드디어! 고맙습니다.", likedBy: ["haneul"] },
      {
        author: "mina",
        afterHours: 4,
        content: "한국어 공부 중이에요. 천천히 따라갈게요 🙂",
        likedBy: ["haneul", "seojun"],
      },
    ],
  },
  {
    board: "help",
    author: "tobias",
    hoursAgo: 180,
    views: 141,
    title: "How do I edit a post without overwriting somebody else's edit?",
    content:
      "Two of us look after the same post. Yesterday my edit replaced hers, and nobody noticed. Can the server refuse?",
    likedBy: ["mina"],
    comments: [
      {
        author: "admin",
        afterHours: 1,
        content:
          'Send the version you have read: `If-Match: "3"`. When the post has moved on, the answer is 412 `version_mismatch` and nothing is changed. The version comes with the post and as its ETag.',
        likedBy: ["tobias", "mina", "jose"],
      },
      { author: "tobias", afterHours: 2, content: "Exactly what I was looking for." },
    ],
  },
  {
    board: "help",
    author: "jose",
    hoursAgo: 150,
    views: 66,
    title: "¿Puedo repetir una petición que se cortó?",
    content:
      "El tren entra en un túnel y no sé si mi mensaje llegó. Si lo envío otra vez, ¿aparece dos veces?",
    likedBy: ["akari"],
    comments: [
      {
        author: "admin",
        afterHours: 2,
        content:
          "Send an `Idempotency-Key` with the request and the same key when you repeat it: the answer is the same post, and there is only one.",
        likedBy: ["jose", "tobias"],
      },
      { author: "jose", afterHours: 3, content: "¡Perfecto, gracias!" },
    ],
  },
  {
    board: "general",
    author: "akari",
    hoursAgo: 120,
    views: 45,
    title: "Does anything here break <b>markup</b>?",
    content:
      "Text is stored and returned byte for byte: <script>alert(\"no\")</script>, 'quotes', back\\slashes, per%cent, family 👨‍👩‍👧‍👦, combining e\u0301 and \u00e9. If you see it as I typed it, all is well.",
    likedBy: ["mina", "haneul", "tobias"],
    comments: [
      { author: "tobias", afterHours: 1, content: "I see it as you typed it. 👍", likedBy: ["akari"] },
    ],
  },
  {
    board: "hangul",
    author: "seojun",
    hoursAgo: 96,
    views: 52,
    title: "지도에 관한 책 세 권",
    content:
      "미나 님 글을 보고 정리해 봤습니다.\n\n첫째, 지도가 권력이 되는 과정을 다룬 책. 둘째, 바다의 길을 그린 사람들 이야기. 셋째, 동네 산책 지도를 직접 그려 보는 연습장입니다.",
    likedBy: ["haneul", "mina"],
    comments: [{ author: "haneul", afterHours: 7, content: "세 번째 책은 저도 해 보고 싶네요." }],
  },
  {
    board: "general",
    author: "tobias",
    hoursAgo: 70,
    views: 31,
    title: "Coffee or tea at three in the afternoon",
    content: "One answer each, no explanations. I begin: tea.",
    likedBy: ["jose"],
    comments: [
      { author: "mina", afterHours: 1, content: "Coffee." },
      { author: "jose", afterHours: 1.5, content: "Café." },
      { author: "haneul", afterHours: 2, content: "커피 ☕", likedBy: ["mina"] },
      { author: "akari", afterHours: 9, content: "緑茶。", likedBy: ["tobias"] },
      { author: "seojun", afterHours: 11, content: "보리차." },
    ],
  },
  {
    board: "help",
    author: "mina",
    hoursAgo: 44,
    views: 38,
    title: "Where do I find my other sign-ins?",
    content: "I signed in at the library and forgot to sign out. Can I end that session from here?",
    likedBy: [],
    comments: [
      {
        author: "admin",
        afterHours: 1,
        content:
          "`GET /api/auth/sessions` lists them with device and last use, `DELETE /api/auth/sessions/{id}` ends one, `POST /api/auth/logout-all` ends all.",
        likedBy: ["mina"],
      },
    ],
  },
  {
    board: "general",
    author: "haneul",
    hoursAgo: 20,
    views: 26,
    title: "Photographs of the first snow",
    content:
      "It snowed on the ridge this morning. No pictures here yet, so you will have to believe me: the whole valley was white by seven, and gone by noon.",
    likedBy: ["akari", "mina", "seojun"],
    comments: [
      { author: "akari", afterHours: 2, content: "こちらはまだ雨です。うらやましい。", likedBy: ["haneul"] },
    ],
  },
  {
    board: "announcements",
    author: "admin",
    hoursAgo: 5,
    views: 12,
    title: "The list of boards is open for suggestions",
    content: "Four boards are a beginning. Which one is missing? Answer below; the next one opens on Monday.",
    likedBy: ["tobias"],
    comments: [
      { author: "akari", afterHours: 1, content: "A board for pictures, please." },
      { author: "jose", afterHours: 2, content: "Español 🙂", likedBy: ["mina", "akari"] },
    ],
  },
];
