# Prints which rules of SpamAssassin fire on mails: a line for each path read from standard
# input, the names behind a tab, joined by commas. No network, no Bayes.
use strict;
use warnings;
use Mail::SpamAssassin;

my ($rules, $site, $home) = @ARGV;
my $sa = Mail::SpamAssassin->new({
  rules_filename => $rules, site_rules_filename => $site, userprefs_filename => '/dev/null',
  userstate_dir => $home, dont_copy_prefs => 1, local_tests_only => 1,
  post_config_text => "use_bayes 0\nbody_part_scan_size 0\nrawbody_part_scan_size 0\nlock_method flock\n",
});
$sa->compile_now(0);
$| = 1;
while (my $path = <STDIN>) {
  chomp $path;
  open(my $fh, '<', $path) or die "$path: $!";
  binmode $fh;
  my $text = do { local $/; <$fh> };
  close $fh;
  my $mail = $sa->parse($text);
  my $status = $sa->check($mail);
  print $path, "\t", join(',', $status->get_names_of_tests_hit(), $status->get_names_of_subtests_hit()), "\n";
  $status->finish();
  $mail->finish();
}
