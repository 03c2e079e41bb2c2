/** What the run is there to find: somebody holds something else than the database. */
export class Difference extends Error {
  override readonly name = 'Difference';
}
