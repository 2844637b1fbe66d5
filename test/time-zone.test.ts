/** Days of time zones, held against a walk through every minute with `Intl` alone. */
import { describe, it } from "vitest";
import {
  addDays,
  dateAt,
  daysBetween,
  isTimeZone,
  offsetAt,
  offsetSpans,
  QUARTER_MS,
  startOfDate,
} from "../src/common/time-zone.ts";
import { newSeed, randomNumbers } from "./support/threads.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** Zones with something of their own: half hours, quarters, changes at midnight, two hours, twice a year in Ramadan. */
const PECULIAR = [
  "UTC",
  "Asia/Seoul",
  "America/New_York",
  "Europe/Berlin",
  "Australia/Lord_Howe",
  "Africa/Casablanca",
  "America/Santiago",
  "America/Havana",
  "Asia/Beirut",
  "Africa/Cairo",
  "Asia/Kathmandu",
  "Pacific/Chatham",
  "Pacific/Kiritimati",
  "Pacific/Pago_Pago",
  "America/St_Johns",
  "Antarctica/Troll",
  "Atlantic/Azores",
];

/** What a clock on the wall shows, `YYYY-MM-DD HH:MM`, as `Intl` formats it. */
function wallClock(timeZone: string): (instant: number) => string {
  const format = new Intl.DateTimeFormat("sv-SE", {
    timeZone,
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
  });
  return (instant) => format.format(instant);
}

/** By how much the wall clock is ahead of UTC, to the minute. */
function offsetByClock(clock: (instant: number) => string, instant: number): number {
  return Date.parse(`${clock(instant).replace(" ", "T")}:00Z`) - Math.floor(instant / MINUTE_MS) * MINUTE_MS;
}

/** Days on whose eve the offset is another than on their own evening. */
function changes(timeZone: string, year: number): number[] {
  const clock = wallClock(timeZone);
  const days: number[] = [];
  for (let day = Date.UTC(year, 0, 1); day < Date.UTC(year + 1, 0, 1); day += DAY_MS) {
    if (offsetByClock(clock, day) !== offsetByClock(clock, day + DAY_MS)) days.push(day);
  }
  return days;
}

/** Holds the functions against the clock, minute by minute, from the day before `around` to the day after. */
function check(timeZone: string, around: number): string[] {
  const clock = wallClock(timeZone);
  const [from, to] = [around - DAY_MS, around + 2 * DAY_MS];
  const spans = offsetSpans(timeZone, from, to);
  const dateOf = (instant: number) => clock(instant).slice(0, 10);
  const starts = new Map<string, number>();
  const wrong: string[] = [];
  const say = (what: string, instant: number) =>
    wrong.push(`${timeZone} ${new Date(instant).toISOString()}: ${what}`);
  for (let instant = from; instant < to; instant += MINUTE_MS) {
    const date = dateOf(instant);
    if (dateAt(timeZone, instant) !== date) say(`is on ${date}, not ${dateAt(timeZone, instant)}`, instant);
    const offset = offsetByClock(clock, instant);
    if (offsetAt(timeZone, instant) !== offset) say(`offset ${offset}`, instant);
    const span = spans.findLast(({ startsAt }) => startsAt <= instant);
    if (span?.offsetMs !== offset) say(`the span says ${span?.offsetMs}, the clock ${offset}`, instant);
    if (!starts.has(date)) starts.set(date, instant);
  }
  // The first began before.
  starts.delete(dateOf(from));
  for (const [date, start] of starts) {
    if (startOfDate(timeZone, date) !== start) {
      say(`${date} begins here, not at ${new Date(startOfDate(timeZone, date)).toISOString()}`, start);
    }
  }
  for (const { startsAt } of spans.slice(1)) {
    if (startsAt % QUARTER_MS !== 0) say("a span begins within a quarter of an hour", startsAt);
  }
  return wrong;
}

describe("offsets, dates and their beginnings", () => {
  it.for(PECULIAR)(
    "of %s are those of the clock in every minute around each change",
    (timeZone, { expect }) => {
      // Ramadan, and with it Casablanca's changes, wanders through the year.
      for (const day of [...changes(timeZone, 2026), ...changes(timeZone, 2030), Date.UTC(2026, 5, 15)]) {
        expect(check(timeZone, day)).toEqual([]);
      }
    },
  );

  it("of 25 random zones and days are those of the clock in every minute", ({ expect }) => {
    const seed = newSeed();
    const random = randomNumbers(seed);
    const zones = Intl.supportedValuesOf("timeZone");
    for (let run = 0; run < 25; run += 1) {
      const zone = zones[Math.floor(random() * zones.length)] ?? "UTC";
      const days = changes(zone, 2012 + Math.floor(random() * 25));
      const day =
        days[Math.floor(random() * days.length)] ?? Date.UTC(2012, 0, 1 + Math.floor(random() * 9_000));
      expect(check(zone, day), `seed ${seed}`).toEqual([]);
    }
  });

  it("cover a whole year of every zone without a gap, with spans that really differ", ({ expect }) => {
    const [from, to] = [Date.UTC(2026, 0, 1), Date.UTC(2027, 0, 2)];
    for (const zone of Intl.supportedValuesOf("timeZone")) {
      const spans = offsetSpans(zone, from, to);
      expect([zone, spans[0]?.startsAt]).toEqual([zone, from]);
      for (const [index, { startsAt, offsetMs }] of spans.entries()) {
        expect([zone, offsetMs]).toEqual([zone, offsetAt(zone, startsAt)]);
        const before = spans[index - 1];
        if (before) expect([zone, before.offsetMs]).toEqual([zone, offsetAt(zone, startsAt - QUARTER_MS)]);
        if (before) expect([zone, offsetMs]).not.toEqual([zone, before.offsetMs]);
        expect([zone, Math.abs(offsetMs % QUARTER_MS)]).toEqual([zone, 0]);
      }
      expect([zone, spans.at(-1)?.offsetMs]).toEqual([zone, offsetAt(zone, to - 1)]);
    }
  });

  it("make a year of 365 or 366 days in every zone, each beginning when the one before ends", ({
    expect,
  }) => {
    for (const zone of PECULIAR) {
      let start = startOfDate(zone, "2026-01-01");
      for (let date = "2026-01-01"; date < "2027-01-01"; date = addDays(date, 1)) {
        const end = startOfDate(zone, addDays(date, 1));
        expect([zone, date, dateAt(zone, start), dateAt(zone, end - 1)]).toEqual([zone, date, date, date]);
        const hours = (end - start) / HOUR_MS;
        expect([zone, date, hours >= 22 && hours <= 26]).toEqual([zone, date, true]);
        start = end;
      }
    }
  });
});

describe("dates", () => {
  it("are counted over month ends and leap years", ({ expect }) => {
    expect([
      addDays("2026-12-31", 1),
      addDays("2028-02-28", 1),
      addDays("2026-02-28", 1),
      addDays("2026-03-01", -1),
      addDays("2026-01-01", 0),
    ]).toEqual(["2027-01-01", "2028-02-29", "2026-03-01", "2026-02-28", "2026-01-01"]);
    expect([
      daysBetween("2028-01-01", "2029-01-01"),
      daysBetween("2026-03-01", "2026-02-28"),
      daysBetween("2026-01-01", "2026-01-01"),
    ]).toEqual([366, -1, 0]);
  });
});

describe("a time zone", () => {
  it.for(["UTC", "Asia/Seoul", "america/new_york", "Etc/GMT+5", "America/Argentina/Buenos_Aires"])(
    "may be %s",
    (name, { expect }) => {
      expect(isTimeZone(name)).toBe(true);
    },
  );

  it.for([
    "",
    "Mars/Olympus",
    "+09:00",
    "-0330",
    "Asia/Seoul ",
    "Asia\\Seoul",
    "../UTC",
    "UTC\u0000",
    "서울",
  ])("is not %j", (name, { expect }) => {
    expect(isTimeZone(name)).toBe(false);
  });
});
