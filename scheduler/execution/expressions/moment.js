// A date object with the documented subset of moment's interface, locale en; README.md, "Expressions", lists it.
// Like moment's, it changes in place. Given dates.js, gives a function from a zone's name to `moment` in that zone.
(function (dates) {
  'use strict';

  const {MONTHS, DAYS, MILLISECONDS, DAY, LIMIT, NAMES, TOKENS, unit, required, wallTime, offsetAt, instant,
    zoneNamed, offsetMinutes, daysOf, fromFields, parsed, readAs} = dates;
  const LONG = {
    LTS: 'h:mm:ss A', LT: 'h:mm A', L: 'MM/DD/YYYY', LL: 'MMMM D, YYYY', LLL: 'MMMM D, YYYY h:mm A',
    LLLL: 'dddd, MMMM D, YYYY h:mm A', l: 'M/D/YYYY', ll: 'MMM D, YYYY', lll: 'MMM D, YYYY h:mm A',
    llll: 'ddd, MMM D, YYYY h:mm A',
  };

  const NAMED = ['year', 'month', 'date', 'hour', 'minute', 'second', 'millisecond'];

  function pad(number, width) {
    return (number < 0 ? '-' : '') + String(Math.abs(number)).padStart(width, '0');
  }

  function ordinal(number) {
    const ten = Math.floor(number % 100 / 10) === 1 ? 0 : number % 10;
    return number + (['th', 'st', 'nd', 'rd'][ten] || 'th');
  }

  function rounded(number) {
    return number < 0 ? -Math.round(-number) : Math.round(number);
  }

  class Moment {
    #ms;
    #place;
    #home;

    constructor(ms, place, home) {
      this.#ms = Math.abs(ms) <= LIMIT ? Math.trunc(ms) : NaN;
      this.#place = place;
      this.#home = home;
    }

    static is(value) {
      return typeof value === 'object' && value !== null && #ms in value;
    }

    #wall() {
      return new Date(this.#ms + offsetAt(this.#ms, this.#place) * 60000);
    }

    #move(ms) {
      this.#ms = Math.abs(ms) <= LIMIT ? ms : NaN;
      return this;
    }

    #moveWall(wall) {
      return this.#move(instant(wall, this.#place));
    }

    #addMonths(number) {
      const wall = this.#wall();
      const months = wall.getUTCFullYear() * 12 + wall.getUTCMonth() + number;
      const [year, month] = [Math.floor(months / 12), (months % 12 + 12) % 12];
      const day = Math.min(wall.getUTCDate(), daysOf(year, month));
      return this.#moveWall(wallTime(year, month, day) + (wall.getTime() % DAY + DAY) % DAY);
    }

    #addOne(amount, name) {
      const number = Number(amount);
      if (Number.isNaN(number)) throw new TypeError(`The number of ${String(name)} is not a number.`);
      switch (required(name)) {
        case 'year': return this.#addMonths(rounded(number * 12));
        case 'quarter': return this.#addMonths(rounded(number * 3));
        case 'month': return this.#addMonths(rounded(number));
        case 'week': case 'isoWeek': return this.#moveWall(this.#wall().getTime() + rounded(number * 7) * DAY);
        case 'day': case 'date': return this.#moveWall(this.#wall().getTime() + rounded(number) * DAY);
        default: return this.#move(this.#ms + rounded(number * MILLISECONDS[required(name)]));
      }
    }

    #addAll(amount, name, sign) {
      if (amount === undefined || amount === null) return this;
      if (typeof amount === 'object') {
        for (const [one, number] of Object.entries(amount)) this.#addOne(sign * number, one);
        return this;
      }
      if (typeof amount === 'string' && unit(amount)) return this.#addOne(sign * name, amount);
      return this.#addOne(sign * amount, name === undefined ? 'ms' : name);
    }

    add(amount, name) { return this.#addAll(amount, name, 1); }
    subtract(amount, name) { return this.#addAll(amount, name, -1); }

    startOf(name) {
      const known = required(name);
      const wall = this.#wall();
      if (known in MILLISECONDS) {
        const size = MILLISECONDS[known];
        return this.#move(this.#ms - (wall.getTime() % size + size) % size);
      }
      const month = {year: 0, quarter: wall.getUTCMonth() - wall.getUTCMonth() % 3}[known] ?? wall.getUTCMonth();
      const back = {week: wall.getUTCDay(), isoWeek: (wall.getUTCDay() + 6) % 7}[known] || 0;
      const day = ['year', 'quarter', 'month'].includes(known) ? 1 : wall.getUTCDate() - back;
      return this.#moveWall(wallTime(wall.getUTCFullYear(), month, day));
    }

    endOf(name) { return this.startOf(name).add(1, name === 'date' ? 'day' : name).subtract(1, 'ms'); }

    #monthsTo(other) {
      const [a, b] = [this.#wall(), other.#wall()];
      const whole = (b.getUTCFullYear() - a.getUTCFullYear()) * 12 + b.getUTCMonth() - a.getUTCMonth();
      const anchor = this.clone().add(whole, 'month').#ms;
      const rest = other.#ms - anchor;
      const neighbour = this.clone().add(whole + (rest < 0 ? -1 : 1), 'month').#ms;
      return whole + rest / Math.abs(neighbour - anchor);
    }

    diff(input, name, exact) {
      const other = this.#like(input);
      if (!this.isValid() || !other.isValid()) return NaN;
      const known = name === undefined ? 'millisecond' : required(name);
      const months = {year: 12, quarter: 3, month: 1}[known];
      const days = {week: 7, isoWeek: 7, day: 1, date: 1}[known];
      let result = (this.#ms - other.#ms) / (MILLISECONDS[known] || 1);
      if (months) result = -this.#monthsTo(other) / months || 0;
      else if (days) result = (this.#wall() - other.#wall()) / (DAY * days);
      return exact ? result : Math.trunc(result) || 0;
    }

    // Another value, seen in the same place.
    #like(input) {
      const other = Moment.is(input) ? input.clone() : read(input, undefined, this.#place, this.#home);
      other.#place = this.#place;
      return other;
    }

    #compare(input, name, test) {
      const other = this.#like(input);
      if (!this.isValid() || !other.isValid()) return false;
      if (name === undefined) return test(this.#ms, this.#ms, other.#ms);
      return test(this.clone().startOf(name).#ms, this.clone().endOf(name).#ms, other.#ms);
    }

    isBefore(input, name) { return this.#compare(input, name, (start, end, at) => end < at); }
    isAfter(input, name) { return this.#compare(input, name, (start, end, at) => start > at); }
    isSame(input, name) { return this.#compare(input, name, (start, end, at) => start <= at && at <= end); }
    isSameOrBefore(input, name) { return this.isSame(input, name) || this.isBefore(input, name); }
    isSameOrAfter(input, name) { return this.isSame(input, name) || this.isAfter(input, name); }
    isBetween(from, to, name) { return this.isAfter(from, name) && this.isBefore(to, name); }

    clone() { return new Moment(this.#ms, this.#place, this.#home); }
    isValid() { return !Number.isNaN(this.#ms); }
    valueOf() { return this.#ms; }
    unix() { return Math.floor(this.#ms / 1000); }
    toDate() { return new Date(this.#ms); }
    toISOString() { return this.isValid() ? this.clone().utc().format('YYYY-MM-DD[T]HH:mm:ss.SSS[Z]') : null; }
    toJSON() { return this.toISOString(); }
    toString() { return this.format('ddd MMM DD YYYY HH:mm:ss [GMT]ZZ'); }
    toArray() { return NAMED.map((name) => this.get(name)); }

    #to(place) {
      this.#place = place;
      return this;
    }

    utc() { return this.#to(0); }
    local() { return this.#to(this.#home); }
    isUTC() { return this.#place === 0; }

    tz(name) {
      if (name !== undefined) return this.#to(zoneNamed(name));
      return this.#place === 0 ? 'UTC' : typeof this.#place === 'string' ? this.#place : undefined;
    }

    utcOffset(offset) {
      if (offset === undefined) return this.isValid() ? offsetAt(this.#ms, this.#place) : NaN;
      return this.#to(offsetMinutes(offset));
    }

    isDST() {
      const rest = [0, 6].map((month) => this.clone().month(month).utcOffset());
      return this.utcOffset() > Math.min(...rest);
    }

    daysInMonth() { return daysOf(this.year(), this.month()); }
    isLeapYear() { return daysOf(this.year(), 1) === 29; }

    get(name) {
      const wall = this.#wall();
      switch (required(name)) {
        case 'year': return wall.getUTCFullYear();
        case 'quarter': return Math.floor(wall.getUTCMonth() / 3) + 1;
        case 'month': return wall.getUTCMonth();
        case 'date': return wall.getUTCDate();
        case 'day': case 'weekday': return wall.getUTCDay();
        case 'isoWeekday': return wall.getUTCDay() || 7;
        case 'dayOfYear': return Math.floor((wall - wallTime(wall.getUTCFullYear(), 0, 1)) / DAY) + 1;
        case 'week': return this.#week(0)[1];
        case 'isoWeek': return this.#week(1)[1];
        case 'hour': return wall.getUTCHours();
        case 'minute': return wall.getUTCMinutes();
        case 'second': return wall.getUTCSeconds();
        default: return wall.getUTCMilliseconds();
      }
    }

    set(name, value) {
      if (typeof name === 'object') {
        for (const [one, number] of Object.entries(name)) this.set(one, number);
        return this;
      }
      const known = required(name);
      const number = Number(value);
      const change = number - this.get(known);
      if (known in MILLISECONDS) return this.#moveWall(this.#wall().getTime() + change * MILLISECONDS[known]);
      const larger = ['year', 'quarter', 'month', 'week', 'isoWeek'].includes(known);
      return this.add(change, larger ? known : 'day');
    }

    // The year and number of the week, which starts on Sunday (0) or, by ISO, on Monday (1).
    #week(first) {
      const wall = this.#wall();
      const weekday = (wall.getUTCDay() - first + 7) % 7;
      const deciding = first === 1 ? 3 : 6;  // the day of a week whose year is the week's
      const decides = new Date(wall.getTime() + (deciding - weekday) * DAY);
      const year = decides.getUTCFullYear();
      return [year, Math.floor((decides - wallTime(year, 0, 1)) / DAY / 7) + 1];
    }

    weekYear() { return this.#week(0)[0]; }
    isoWeekYear() { return this.#week(1)[0]; }

    format(layout) {
      if (!this.isValid()) return 'Invalid date';
      const offset = this.#place === 0 ? '[Z]' : 'Z';
      return this.#written(String(layout ?? `YYYY-MM-DDTHH:mm:ss${offset}`));
    }

    #written(layout) {
      return (layout.match(TOKENS) || []).map((token) => this.#token(token)).join('');
    }

    #token(token) {
      if (token[0] === '[' && token.length > 1) return token.slice(1, -1);
      if (token[0] === '\\' && token.length > 1) return token[1];
      if (Object.hasOwn(LONG, token)) return this.#written(LONG[token]);
      if (/^[A-Za-z]+o$/.test(token)) return ordinal(Number(this.#token(token.slice(0, -1))) + 0);
      if (/^S+$/.test(token)) return pad(this.millisecond(), 3).padEnd(9, '0').slice(0, token.length);
      return this.#field(token);
    }

    #field(token) {
      const hour = this.hour();
      const year = this.year();
      switch (token) {
        case 'YYYY': return year > 9999 ? `+${year}` : pad(year, 4);
        case 'YY': return pad(year % 100, 2);
        case 'gggg': return pad(this.weekYear(), 4);
        case 'gg': return pad(this.weekYear() % 100, 2);
        case 'GGGG': return pad(this.isoWeekYear(), 4);
        case 'GG': return pad(this.isoWeekYear() % 100, 2);
        case 'Q': return String(this.quarter());
        case 'M': case 'MM': return pad(this.month() + 1, token.length);
        case 'MMM': return MONTHS[this.month()].slice(0, 3);
        case 'MMMM': return MONTHS[this.month()];
        case 'D': case 'DD': return pad(this.date(), token.length);
        case 'DDD': return String(this.dayOfYear());
        case 'DDDD': return pad(this.dayOfYear(), 3);
        case 'd': case 'e': return String(this.day());
        case 'dd': case 'ddd': return DAYS[this.day()].slice(0, token.length);
        case 'dddd': return DAYS[this.day()];
        case 'E': return String(this.isoWeekday());
        case 'w': case 'ww': return pad(this.week(), token.length);
        case 'W': case 'WW': return pad(this.isoWeek(), token.length);
        case 'H': case 'HH': return pad(hour, token.length);
        case 'h': case 'hh': return pad(hour % 12 || 12, token.length);
        case 'k': case 'kk': return pad(hour || 24, token.length);
        case 'm': case 'mm': return pad(this.minute(), token.length);
        case 's': case 'ss': return pad(this.second(), token.length);
        case 'A': return hour < 12 ? 'AM' : 'PM';
        case 'a': return hour < 12 ? 'am' : 'pm';
        case 'X': return String(this.unix());
        case 'x': return String(this.#ms);
        case 'Z': case 'ZZ': return this.#offset(token === 'Z' ? ':' : '');
        case 'z': case 'zz': return typeof this.#place === 'number' ? 'UTC' : '';
        default: return token;
      }
    }

    #offset(colon) {
      const offset = this.utcOffset();
      const size = Math.abs(offset);
      return (offset < 0 ? '-' : '+') + pad(Math.floor(size / 60), 2) + colon + pad(size % 60, 2);
    }
  }

  for (const name of NAMES) {
    const access = function (value) { return value === undefined ? this.get(name) : this.set(name, value); };
    const single = ['isoWeekday', 'weekday', 'dayOfYear'].includes(name);
    for (const one of single ? [name] : [name, `${name}s`]) Moment.prototype[one] = access;
  }

  function read(input, layout, place, home) {
    if (input === undefined) return new Moment(Date.now(), place, home);
    if (Moment.is(input)) return input.clone();
    if (typeof input === 'number') return new Moment(input, place, home);
    if (input instanceof Date) return new Moment(input.getTime(), place, home);
    return new Moment(millisecondsOf(input, layout, place), place, home);
  }

  function millisecondsOf(input, layout, place) {
    if (Array.isArray(input)) return fromFields([0, 0, 1, 0, 0, 0, 0].map((one, at) => input[at] ?? one), place);
    if (typeof input !== 'string') return NaN;
    return typeof layout === 'string' ? readAs(input, layout, place) : parsed(input, place).ms;
  }

  function extreme(values, better) {
    return values.flat().reduce((best, one) => best === undefined || better(one, best) ? one : best, undefined);
  }

  return function (home) {
    const moment = (input, layout) => read(input, layout, home, home);
    moment.utc = (input, layout) => read(input, layout, 0, home).utc();
    moment.unix = (seconds) => read(Number(seconds) * 1000, undefined, home, home);
    moment.tz = (...given) => {
      const zone = zoneNamed(given.pop());
      return read(given[0], given[1], zone, home).tz(zone);
    };
    moment.parseZone = (text) => {
      const found = parsed(String(text), 0);
      return new Moment(found.ms, found.offset || 0, home);
    };
    moment.isMoment = (value) => Moment.is(value);
    moment.min = (...values) => extreme(values, (one, best) => one.valueOf() < best.valueOf());
    moment.max = (...values) => extreme(values, (one, best) => one.valueOf() > best.valueOf());
    return moment;
  };
})
