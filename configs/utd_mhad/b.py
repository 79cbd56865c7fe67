_base_ = '../_base_/utd_mhad.py'
stream = 'b'
data = {{_base_.stream.utd_mhad.b.plain}}
work_dir = './work_dirs/utd_mhad/b'
