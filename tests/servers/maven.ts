import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { everybodyCanEnter, removeDirectory, serverAccount } from './process.ts';

/** An archive of a Maven repository: group, artifact and version; a zip. */
export interface MavenArtifact {
  readonly group: string;
  readonly artifact: string;
  readonly version: string;
}

/** Where servers that are fetched are kept, for all checkouts: TIDEMARK_SERVERS, else a cache of ours that the server's account can read. */
export function serversDirectory(): string {
  const chosen = process.env['TIDEMARK_SERVERS'];
  if (chosen !== undefined && chosen !== '') return chosen;
  const home = homedir();
  // Servers that refuse root run as another account, which cannot enter root's home.
  const closed = serverAccount().uid !== undefined && !everybodyCanEnter(home);
  return join(closed ? '/var' : home, closed ? 'cache' : '.cache', 'tidemark-servers');
}

/** The folder of the unpacked archive, or null when it has not been fetched. */
export function unpackedArtifact({ artifact, version }: MavenArtifact): string | null {
  const directory = join(serversDirectory(), `${artifact}-${version}`);
  return existsSync(directory) ? directory : null;
}

/** Fetches and unpacks the archive unless that was done before, and returns its folder. Throws with Maven's words when it cannot be had. */
export function fetchArtifact(wanted: MavenArtifact): string {
  const present = unpackedArtifact(wanted);
  if (present !== null) return present;
  const { group, artifact, version } = wanted;
  const servers = serversDirectory();
  mkdirSync(servers, { recursive: true, mode: 0o755 });
  const partial = mkdtempSync(join(servers, 'partial-'));
  try {
    const goal = 'org.apache.maven.plugins:maven-dependency-plugin:3.6.1:unpack';
    const coordinates = `-Dartifact=${group}:${artifact}:${version}:zip`;
    const { status, error, stdout } = spawnSync(
      'mvn',
      ['--batch-mode', '--quiet', goal, coordinates, `-DoutputDirectory=${partial}`, '-Dmdep.useBaseVersion=true'],
      { cwd: partial, encoding: 'utf8' },
    );
    if (error) throw error;
    if (status !== 0) throw new Error(stdout.trim().slice(-2000));
    // The archive holds one folder, named after itself.
    const name = readdirSync(partial).find((entry) => entry.startsWith(`${artifact}-`)) ?? '';
    const program = join(partial, name, 'bin');
    for (const script of readdirSync(program)) chmodSync(join(program, script), 0o755);
    const directory = join(servers, `${artifact}-${version}`);
    // Another process may have fetched the same meanwhile; then it is there.
    if (!existsSync(directory)) renameSync(join(partial, name), directory);
    return directory;
  } finally {
    removeDirectory(partial);
  }
}

/** Whether Maven can be asked. */
export function hasMaven(): boolean {
  return (process.env['PATH'] ?? '').split(':').some((folder) => existsSync(join(folder, 'mvn')));
}

/** The home of the oldest Java of at least that version, or null. */
export function javaHome(versionMin: number): string | null {
  const roots = ['/usr/lib/jvm', '/opt/java', '/Library/Java/JavaVirtualMachines'];
  const homes = roots.flatMap((root) => (existsSync(root) ? readdirSync(root).map((name) => join(root, name)) : []));
  homes.unshift(process.env['JAVA_HOME'] ?? '');
  let best: { home: string; version: number } | null = null;
  for (const outer of homes) {
    for (const home of [outer, join(outer, 'Contents', 'Home')]) {
      const release = join(home, 'release');
      if (home === '' || !existsSync(release)) continue;
      const version = Number(/JAVA_VERSION="(\d+)/.exec(readFileSync(release, 'utf8'))?.[1] ?? 0);
      if (version >= versionMin && (best === null || version < best.version)) best = { home, version };
    }
  }
  return best?.home ?? null;
}
