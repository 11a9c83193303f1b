/** The two ways in which the API doesn't give what was asked. */

/** Nothing usable came back: no connection, no time, a server's own failure. Worth trying again. */
export class ApiUnavailable extends Error {
  override readonly name = "ApiUnavailable";
}

/** The API understood and said no (RFC 9457). Trying again changes nothing. */
export class ApiRefusal extends Error {
  override readonly name = "ApiRefusal";

  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}
