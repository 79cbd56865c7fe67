"""Downloads from a real server in another process: resumed, refused, damaged, and what is to be fetched by hand."""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
import sys
from types import SimpleNamespace

import pytest

from aclnet.datasets.download import CATALOGUE, download, fetch
from aclnet.errors import ACLNetError
from tests.run import ROOT, shell, tool
from tests.workers.file_server import CUT, content


class Remote:
    def __init__(self, port: str, log) -> None:
        self.address, self.log = f'http://127.0.0.1:{port}', log

    def asked(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def remote(tmp_path_factory, monkeypatch):
    monkeypatch.setenv('no_proxy', '127.0.0.1')
    log = tmp_path_factory.mktemp('server') / 'log'
    words = [sys.executable, str(ROOT / 'tests' / 'workers' / 'file_server.py'), str(log)]
    server = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        yield Remote(server.stdout.readline().strip(), log)
    finally:
        server.terminate()
        server.wait()
        server.stdout.close()


def fetched(remote, kind, path, size=100_000, **options):
    fetch(f'{remote.address}/{kind}/{size}', str(path), pause=0, **options)


def refused(remote, kind, path, **options):
    with pytest.raises(ACLNetError) as error:
        fetched(remote, kind, path, **options)
    assert '\n' not in str(error.value) and not path.exists()
    return str(error.value)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize('size', [0, 1, 100_000, 3_000_000])
def test_a_file_comes_whole_and_alone(remote, tmp_path, size):
    fetched(remote, 'plain', tmp_path / 'new' / 'a.pkl', size)
    assert (tmp_path / 'new' / 'a.pkl').read_bytes() == content(size) and names(tmp_path / 'new') == ['a.pkl']


def test_what_is_there_is_not_downloaded_again(remote, tmp_path):
    (tmp_path / 'a.pkl').write_bytes(b'mine')
    fetched(remote, 'plain', tmp_path / 'a.pkl')
    assert (tmp_path / 'a.pkl').read_bytes() == b'mine' and not remote.asked()
    with pytest.raises(ACLNetError, match='a.pkl is there, but its SHA-256 is .* and not 00; move it away'):
        fetched(remote, 'plain', tmp_path / 'a.pkl', sha256='00')


def test_a_connection_that_breaks_is_taken_up_where_it_broke(remote, tmp_path):
    fetched(remote, 'cut', tmp_path / 'a.pkl')
    assert (tmp_path / 'a.pkl').read_bytes() == content(100_000) and names(tmp_path) == ['a.pkl']
    assert remote.asked() == ['cut None', f'cut bytes={CUT}-', f'cut bytes={2 * CUT}-']


def begun(remote, path, kind, monkeypatch):
    """A download that ended after its first ``CUT`` bytes: its program was killed."""

    class Killed(BaseException):
        pass

    def die(seconds):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr('aclnet.datasets.download.transfer.time.sleep', die)
        with pytest.raises(Killed):
            fetched(remote, kind, path)
    assert path.with_name('a.pkl.part').stat().st_size == CUT


def test_the_next_command_goes_on(remote, tmp_path, monkeypatch):
    begun(remote, tmp_path / 'a.pkl', 'cut', monkeypatch)
    fetched(remote, 'cut', tmp_path / 'a.pkl')
    assert (tmp_path / 'a.pkl').read_bytes() == content(100_000)
    assert remote.asked()[1] == f'cut bytes={CUT}-'


def test_a_file_that_changed_meanwhile_is_downloaded_anew(remote, tmp_path, monkeypatch):
    begun(remote, tmp_path / 'a.pkl', 'changed', monkeypatch)
    fetched(remote, 'changed', tmp_path / 'a.pkl')
    assert (tmp_path / 'a.pkl').read_bytes() == content(100_000)[::-1]
    assert remote.asked() == ['changed None', f'changed bytes={CUT}-']


@pytest.mark.parametrize('left', [b'', b'rubbish', b'{"url": "http://other", "total": 100000, "version": "1"}'])
def test_a_beginning_of_unknown_origin_is_dropped(remote, tmp_path, left):
    (tmp_path / 'a.pkl.part').write_bytes(b'?' * 500)
    (tmp_path / 'a.pkl.part.json').write_bytes(left)
    fetched(remote, 'plain', tmp_path / 'a.pkl')
    assert (tmp_path / 'a.pkl').read_bytes() == content(100_000) and remote.asked() == ['plain None']


def test_a_server_that_sends_no_parts_is_asked_for_all(remote, tmp_path, monkeypatch):
    begun(remote, tmp_path / 'a.pkl', 'cut', monkeypatch)
    about = tmp_path / 'a.pkl.part.json'
    about.write_text(about.read_text().replace('/cut/', '/ignores/'))
    fetched(remote, 'ignores', tmp_path / 'a.pkl')
    assert (tmp_path / 'a.pkl').read_bytes() == content(100_000)
    assert remote.asked()[1:] == [f'ignores bytes={CUT}-']


def test_a_server_that_does_not_say_the_size_is_believed(remote, tmp_path):
    fetched(remote, 'unsized', tmp_path / 'a.pkl')
    assert (tmp_path / 'a.pkl').read_bytes() == content(100_000)


def test_a_busy_server_is_asked_again(remote, tmp_path):
    fetched(remote, 'flaky', tmp_path / 'a.pkl')
    assert (tmp_path / 'a.pkl').read_bytes() == content(100_000) and len(remote.asked()) == 3


def test_what_never_arrives_is_given_up(remote, tmp_path):
    said = refused(remote, 'stuck', tmp_path / 'a.pkl')
    assert 'ended after 0 of 101,000 bytes' in said and 'the same command goes on' in said and len(remote.asked()) == 6
    said = refused(remote, 'broken', tmp_path / 'b.pkl')
    assert 'could not be downloaded' in said


def test_a_server_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ACLNetError, match='http://127.0.0.1:9/a could not be downloaded .*refused'):
        fetch('http://127.0.0.1:9/a', str(tmp_path / 'a.pkl'), pause=0)
    with pytest.raises(ACLNetError, match='only http and https'):
        fetch('file:///etc/passwd', str(tmp_path / 'a.pkl'))


def test_what_the_server_refuses_is_told(remote, tmp_path):
    assert 'answers 404 Not Found' in refused(remote, 'missing', tmp_path / 'a.pkl')
    assert len(remote.asked()) == 1  # asking again would not help
    assert 'sends a web page and not the file' in refused(remote, 'page', tmp_path / 'a.pkl')


def test_checksums_are_compared(remote, tmp_path):
    good = hashlib.sha256(content(100_000)).hexdigest()
    fetched(remote, 'plain', tmp_path / 'a.pkl', sha256=good.upper())
    said = refused(remote, 'plain', tmp_path / 'b.pkl', sha256='0' * 64)
    assert f'is {good} and not 000' in said and 'deleted' in said and names(tmp_path) == ['a.pkl']


def test_a_full_disk_is_told(remote, tmp_path, monkeypatch):
    (tmp_path / 'a.pkl.part').symlink_to('/dev/full')
    assert 'No space left on device' in refused(remote, 'plain', tmp_path / 'a.pkl')
    monkeypatch.setattr('aclnet.datasets.download.transfer.shutil.disk_usage', lambda path: SimpleNamespace(free=3))
    said = refused(remote, 'plain', tmp_path / 'b.pkl', size=10)
    assert 'needs 10 bytes, but only 3 are free' in said


def test_two_programs_do_not_write_into_one_file(remote, tmp_path):
    with open(tmp_path / 'a.pkl.part', 'ab') as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert 'is being downloaded by another program' in refused(remote, 'plain', tmp_path / 'a.pkl')


# ---- the catalogue and the command
def test_the_command_puts_a_file_where_the_configs_expect_it(remote, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for out, path in ([], 'data/nturgbd/ntu60_3danno.pkl'), (['--out', 'here'], 'here/ntu60_3danno.pkl'):
        tool('data/download', 'ntu60', '--mirror', f'{remote.address}/plain/1000', *out)
        assert (tmp_path / path).read_bytes() == content(1000) and capsys.readouterr().out == f'{path}\n'


def test_what_a_person_must_fetch_is_said(remote, tmp_path, capsys):
    with pytest.raises(ACLNetError) as error:
        tool('data/download', 'k400', '--mirror', f'{remote.address}/plain/1000', '--out', tmp_path)
    said = str(error.value)
    assert 'kpfiles.zip is to be fetched by hand: open https://www.dropbox.com/' in said
    assert f'as {tmp_path}/kpfiles.zip' in said and (tmp_path / 'k400_hrnet.pkl').exists()
    (tmp_path / 'kpfiles').mkdir()  # unpacked
    download('k400', str(tmp_path))
    for name, files in CATALOGUE.items():
        if files[-1].by_hand:
            with pytest.raises(ACLNetError, match=rf'by hand: open https://.*{tmp_path}/new'):
                download(name, str(tmp_path / 'new'), mirror=f'{remote.address}/plain/1000')


def test_the_list_and_wrong_names(tmp_path):
    done = shell('python', 'tools/data/download.py', '--list')
    assert done.returncode == 0 and all(line.split()[0] in CATALOGUE for line in done.stdout.splitlines())
    done = shell('python', 'tools/data/download.py', 'ntu6')
    assert done.returncode == 2 and done.stderr.startswith("error: there is no data set 'ntu6'; did you mean 'ntu60'?")
    with pytest.raises(ACLNetError, match="sha256 is of one file, and 'pku_mmd' has 0"):
        download('pku_mmd', sha256='00')
